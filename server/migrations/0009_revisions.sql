-- Past settings and status of scheduled jobs, so that a decision about a tick can be explained later.
-- The columns are those of the settings and the schedule.

create table scheduled_job_revision (
    scheduled_job_id text collate "C" not null references scheduled_job,
    number bigint not null,
    -- The revision applies to ticks after this instant, until the next revision.
    valid_from timestamptz not null,
    change text not null,
    -- Empty when a pause ended by itself.
    changed_by text not null,
    name text not null,
    cron_expression text not null,
    timezone text not null,
    parameters jsonb not null,
    priority text not null,
    labels jsonb not null,
    policy jsonb not null,
    max_concurrent_runs int not null,
    tick_policy jsonb not null,
    version bigint not null,
    status text not null,
    pause_reason text not null,
    paused_until timestamptz,
    deleted_at timestamptz,
    primary key (scheduled_job_id, number),
    constraint revision_change_is_known check (
        change in (
            'created', 'updated', 'paused', 'resumed', 'deactivated', 'deleted', 'undeleted', 'imported'
        )
    )
);

create index scheduled_job_revision_by_time on scheduled_job_revision (scheduled_job_id, valid_from);
