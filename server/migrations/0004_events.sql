-- The outbox: every change of a run, in the transaction that makes it. It is the truth for watchers;
-- notifications are hints. Readers follow (xid, id) below the oldest running transaction: with the
-- id alone a reader passes over events whose transaction commits late.

create table run_event (
    id bigint generated always as identity primary key,
    xid xid8 not null default pg_current_xact_id(),
    job_id text not null references scraping_job,
    revision bigint not null,
    status text not null,
    -- The run's mutable fields at this revision.
    run jsonb not null,
    constraint run_event_one_per_revision unique (job_id, revision)
);

create index run_event_in_order_of_commit on run_event (xid, id);
