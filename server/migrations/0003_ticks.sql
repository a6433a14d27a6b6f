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
    job_id text,
    decided_at timestamptz not null,
    primary key (scheduled_job_id, tick_at),
    constraint tick_decision_is_known check (decision in ('fired', 'skipped', 'missed', 'paused')),
    constraint tick_fired_iff_it_has_a_run check ((decision = 'fired') = (job_id is not null)),
    constraint tick_explains_itself check ((decision = 'fired') = (reason = '')),
    constraint tick_range_has_its_size check (until >= tick_at and (until > tick_at) = (count > 1))
);
