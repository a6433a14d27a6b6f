-- The tick ledger: the decision about each tick, alone or in a range, and its reason.

create table tick (
    scheduled_job_id text collate "C" not null references scheduled_job,
    tick_at timestamptz not null,
    -- Last tick of a range; for a single tick, the tick itself.
    until timestamptz not null,
    -- Number of ticks in the range, counted up to 10,000.
    count bigint not null,
    decision text not null,
    reason text not null,
    -- The run that the tick created.
    job_id text collate "C",
    -- Earliest start of that run.
    starts_at timestamptz,
    -- The run of an earlier tick that blocked this one, or that its run waits for.
    blocking_job_id text collate "C",
    decided_at timestamptz not null,
    -- The server that decided.
    server text not null,
    -- Revision of the job's settings that applied.
    revision bigint not null,
    primary key (scheduled_job_id, tick_at),
    constraint tick_decision_is_known check (
        decision in (
            'fired', 'skipped_overlap', 'queue_full', 'merged', 'missed', 'outside_window', 'paused'
        )
    ),
    constraint tick_fired_iff_it_has_a_run
        check (num_nonnulls(job_id, starts_at) = case decision when 'fired' then 2 else 0 end),
    constraint tick_explains_itself check (decision = 'fired' or reason <> ''),
    constraint tick_range_has_its_size check (until >= tick_at and (until > tick_at) = (count > 1))
);

-- For pruning old entries. The watermark keeps their ticks decided.
create index tick_by_age on tick (until);

-- Runs that backfills created for ticks without a run. Separate from the ledger, whose decisions never
-- change.
create table backfill (
    scheduled_job_id text collate "C" not null references scheduled_job,
    tick_at timestamptz not null,
    job_id text collate "C" not null,
    -- Request id of the backfill; empty if it had none.
    request_id text collate "C" not null,
    requested_by text not null,
    made_at timestamptz not null,
    primary key (scheduled_job_id, tick_at)
);
