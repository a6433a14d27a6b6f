-- Scheduled jobs, in three tables that change for different reasons: the settings when a user edits
-- them, the schedule when ticks are decided, the history when runs end. With a single row, the
-- foreign-key lock of a trigger would hide due jobs from the scheduler, and ending runs would wait
-- for ticks. Lock order: schedule, runs by id, history by id.

create table scheduled_job (
    scheduled_job_id text collate "C" primary key,
    name text not null,
    cron_expression text not null,
    timezone text not null,
    parameters jsonb not null,
    priority text not null,
    labels jsonb not null,
    -- Retry and timeout policy of the job's runs; absent fields have their defaults.
    policy jsonb not null,
    -- Maximum concurrent runs; 0 is no limit.
    max_concurrent_runs int not null,
    -- Policy for late and overlapping ticks; absent fields have their defaults.
    tick_policy jsonb not null,
    version bigint not null,
    created_at timestamptz not null,
    -- Number of the latest revision of settings and status. A run is inserted only at the revision that its caller
    -- has read, so it belongs to no job that was deleted meanwhile.
    revision bigint not null,
    constraint scheduled_job_id_has_its_form check (scheduled_job_id ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    constraint scheduled_job_has_a_name check (name <> ''),
    constraint scheduled_job_priority_is_known check (priority in ('low', 'normal', 'high', 'immediate')),
    constraint scheduled_job_limit_is_a_number check (max_concurrent_runs >= 0),
    constraint scheduled_job_version_counts_up check (version >= 1)
);

create table scheduled_job_schedule (
    scheduled_job_id text collate "C" primary key references scheduled_job,
    status text not null,
    pause_reason text not null,
    paused_until timestamptz,
    deleted_at timestamptz,
    updated_at timestamptz not null,
    -- Every tick at or before it has been decided, permanently.
    watermark timestamptz not null,
    next_tick_at timestamptz,
    -- Next time for the scheduler: the next tick, or the end of a pause.
    due_at timestamptz generated always as (
        case
            when deleted_at is not null then null
            when status = 'active' then next_tick_at
            when status = 'paused' then paused_until
        end
    ) stored,
    constraint schedule_status_is_known check (status in ('active', 'paused', 'inactive')),
    constraint schedule_times_can_be_read check (
        watermark >= '1970-01-01Z'
        and watermark < '10000-01-01Z'
        and coalesce(next_tick_at, watermark) < '10000-01-01Z'
        and coalesce(paused_until, watermark) >= '1970-01-01Z'
        and coalesce(paused_until, watermark) < '10000-01-01Z'
    ),
    constraint schedule_next_tick_is_undecided check (next_tick_at > watermark),
    constraint schedule_ticks_only_while_active
        check (next_tick_at is null or (status = 'active' and deleted_at is null)),
    constraint schedule_pause_is_explained_only_while_paused
        check (status = 'paused' or (pause_reason = '' and paused_until is null))
);

-- In the order in which ticks are decided, so that a look reads its own jobs only, however many are due at one instant.
create index scheduled_job_schedule_due on scheduled_job_schedule (due_at, scheduled_job_id) where due_at is not null;

create table scheduled_job_history (
    scheduled_job_id text collate "C" primary key references scheduled_job,
    run_count bigint not null default 0,
    -- run_count less the ended runs in scraping_job: an imported count may include runs that were not exported.
    runs_without_row bigint not null default 0,
    last_run_at timestamptz,
    last_run_status text,
    last_run_job_id text collate "C",
    last_ended_at timestamptz,
    constraint history_counts_up check (run_count >= 0),
    constraint history_last_run_is_whole
        check (num_nulls(last_run_at, last_run_status, last_run_job_id, last_ended_at) in (0, 4)),
    -- An imported history may lack the last run.
    constraint history_last_run_is_counted check (run_count > 0 or last_run_at is null)
);
