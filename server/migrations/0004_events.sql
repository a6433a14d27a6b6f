-- The outbox: every change of a run, in the transaction that makes it. It is the truth for watchers;
-- notifications are hints. Readers follow (xid, id) below the oldest running transaction: with the
-- id alone a reader passes over events whose transaction commits late.

create table run_event (
    id bigint generated always as identity primary key,
    -- The transaction's, or that of the run's event before if it is higher: the changes of a run are in order
    -- though a transaction that began earlier makes the later one.
    xid xid8 not null,
    job_id text not null references scraping_job,
    revision bigint not null,
    status text not null,
    -- The run's mutable fields at this revision.
    run jsonb not null,
    -- For its age; nothing is ordered by it.
    written_at timestamptz not null default clock_timestamp(),
    constraint run_event_one_per_revision unique (job_id, revision)
);

create index run_event_in_order_of_commit on run_event (xid, id);

-- What transaction ids and tokens of the feed refer to: the cluster, its timeline, the database and the
-- table. A restored dump or a promoted standby is another feed, though the rows are the same.
create function feed_identity() returns text
language sql
as $$
    select concat_ws(
        '/',
        (select system_identifier from pg_control_system()),
        -- Of the write-ahead log now; that of the control file is late after a promotion.
        left(pg_walfile_name(pg_current_wal_lsn()), 8),
        (select oid from pg_database where datname = current_database()),
        'run_event'::regclass::oid
    )
$$;

-- The feed that the outbox is now: one row.
create table feed (
    is_only boolean primary key default true,
    -- A new one whenever the identity is not what is stored.
    epoch uuid not null,
    identity text not null,
    -- Events up to this id are of earlier epochs.
    first_id bigint not null,
    -- Up to this id events were looked at by age and removed, save the last ones of unfinished runs.
    pruned_id bigint not null,
    -- The last place of this epoch among them: whoever has not got here has missed something.
    pruned_xid xid8 not null,
    pruned_xid_id bigint not null,
    constraint feed_is_one check (is_only)
);

insert into feed (epoch, identity, first_id, pruned_id, pruned_xid, pruned_xid_id)
values (gen_random_uuid(), '', 0, 0, '0', 0);
