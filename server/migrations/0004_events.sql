-- The outbox: every change of a run, inserted by the transaction that makes the change. Watches rely
-- on it alone; notifications are hints. Readers follow (xid, id) below the oldest running transaction:
-- by id alone, a reader would skip events whose transaction commits late.

create table run_event (
    id bigint generated always as identity primary key,
    -- Id of the writing transaction, or that of the run's previous event if it is higher. So the changes of a
    -- run stay in order even if the later one is made by a transaction that began earlier.
    xid xid8 not null,
    -- Written with the run, which is never deleted: a foreign key would check each event for nothing.
    job_id text collate "C" not null,
    revision bigint not null,
    status text not null,
    -- Number of failed locations. With the status, the state that filters of watches depend on.
    failed_locations int not null,
    -- The state of the run at this revision, without the fields that have their initial value.
    run jsonb not null,
    -- For pruning by age; not used for ordering.
    written_at timestamptz not null default clock_timestamp(),
    constraint run_event_one_per_revision unique (job_id, revision)
);

create index run_event_in_order_of_commit on run_event (xid, id);

-- Identity of the feed, to which transaction ids and tokens belong: the cluster, its timeline, the
-- database and the table. A restored dump or a promoted standby is a different feed with the same rows.
create function feed_identity() returns text
language sql
as $$
    select concat_ws(
        '/',
        (select system_identifier from pg_control_system()),
        -- The timeline of the write-ahead log. The control file's lags behind after a promotion.
        left(pg_walfile_name(pg_current_wal_lsn()), 8),
        (select oid from pg_database where datname = current_database()),
        'run_event'::regclass::oid
    )
$$;

-- State of the current feed: a single row.
create table feed (
    is_only boolean primary key default true,
    -- Replaced whenever the stored identity is not the actual one.
    epoch uuid not null,
    identity text not null,
    -- Events up to this id belong to earlier epochs.
    first_id bigint not null,
    -- Events up to this id have been pruned, except the last ones of unfinished runs.
    pruned_id bigint not null,
    -- The last position of this epoch among them. A watch before it has missed events.
    pruned_xid xid8 not null,
    pruned_xid_id bigint not null,
    constraint feed_is_one check (is_only)
);

insert into feed (epoch, identity, first_id, pruned_id, pruned_xid, pruned_xid_id)
values (gen_random_uuid(), '', 0, 0, '0', 0);
