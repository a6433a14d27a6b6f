-- The tick ledger: what became of every tick, alone or in a range, and why.

create table tick (
    scheduled_job_id text not null references scheduled_job,
    tick_at timestamptz not null,
    -- The last tick of a range, else the tick itself.
    until timestamptz not null,
    -- Ticks of the range, counted up to 10,000.
    count bigint not null,
    decision text not null,
    reason text not null,
    -- The run that it made.
    job_id text,
    -- When that may begin.
    starts_at timestamptz,
    -- The run of an earlier tick that was in its way, or that its run waits for.
    blocking_job_id text,
    decided_at timestamptz not null,
    -- The server that decided.
    server text not null,
    -- The number of the revision that it was decided under.
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

-- Old entries are forgotten by it. The watermark keeps their ticks decided.
create index tick_by_age on tick (until);

-- What a backfill made of ticks that had no run: a record of its own, for a decision never changes.
create table backfill (
    scheduled_job_id text not null references scheduled_job,
    tick_at timestamptz not null,
    job_id text not null,
    -- The request that made it; empty if it had no id.
    request_id text not null,
    requested_by text not null,
    made_at timestamptz not null,
    primary key (scheduled_job_id, tick_at)
);
