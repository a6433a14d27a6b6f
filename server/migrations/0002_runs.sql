-- Runs. The state machine is in the code; the schema repeats only the invariants of each state.

create table scraping_job (
    job_id text collate "C" primary key,
    scheduled_job_id text collate "C" references scheduled_job,
    original_job_id text collate "C",
    origin text not null,
    status text not null,
    priority text not null,
    -- Work order: creation time minus the priority's boost.
    rank_at timestamptz not null,
    parameters jsonb not null,
    source text generated always as (parameters ->> 'source') stored,
    -- Retry and timeout policy at creation.
    policy jsonb not null,
    -- The run fails at this time unless it has ended.
    deadline_at timestamptz,
    requested_by text not null,
    -- Labels of the scheduled job at creation, merged with the trigger's.
    labels jsonb not null,
    tick_at timestamptz,
    created_at timestamptz not null,
    available_at timestamptz not null,
    -- The run does not start before the runs of earlier ticks of its job have ended.
    queued boolean not null,
    started_at timestamptz,
    completed_at timestamptz,
    cancel_requested_at timestamptz,
    properties_scraped bigint not null,
    properties_saved bigint not null,
    -- Part of properties_saved.
    properties_updated bigint not null,
    properties_skipped bigint not null,
    properties_duplicate bigint not null,
    total_locations int not null,
    completed_locations int not null,
    -- Indexes of completed locations; a later attempt continues with the others.
    done_locations jsonb not null,
    failed_locations jsonb not null,
    attempt int not null,
    attempt_started_at timestamptz,
    max_attempts int not null,
    error_message text not null,
    revision bigint not null,
    worker_id text,
    lease_expires_at timestamptz,
    -- Length of an extension.
    lease_ms bigint,
    -- No extension reaches beyond this time.
    lease_latest_at timestamptz,
    -- Position of the run's last event in the order of commit.
    event_xid xid8 not null,
    -- For indexes. None contains `status`, so that a lease changes no index.
    final_status text generated always as (case when completed_at is not null then status end) stored,
    constraint run_origin_is_known check (
        origin in ('scheduled', 'triggered', 'immediate', 'recurring', 'backfill', 'retry')
    ),
    constraint run_status_is_known check (
        status in ('pending', 'running', 'completed', 'failed', 'cancelled')
    ),
    constraint run_priority_is_known check (priority in ('low', 'normal', 'high', 'immediate')),
    constraint run_has_ended_iff_final
        check ((completed_at is not null) = (status in ('completed', 'failed', 'cancelled'))),
    constraint run_is_leased_iff_running
        check (
            num_nonnulls(worker_id, lease_expires_at, lease_ms, lease_latest_at)
                = case status when 'running' then 4 else 0 end
        ),
    constraint run_lease_is_bounded check (lease_expires_at <= lease_latest_at),
    constraint run_of_a_schedule_has_its_tick check (
        origin <> 'scheduled' or (tick_at is not null and scheduled_job_id is not null)
    ),
    constraint run_is_queued_by_its_tick check (not queued or origin = 'scheduled'),
    constraint run_cancelled_was_asked_for
        check (status <> 'cancelled' or cancel_requested_at is not null),
    constraint run_started_iff_attempted check (
        (started_at is not null) = (attempt > 0) and (attempt_started_at is not null) = (attempt > 0)
    ),
    constraint run_attempts_are_bounded check (attempt between 0 and max_attempts),
    constraint run_counts_add_up check (
        properties_scraped = properties_saved + properties_skipped + properties_duplicate
        and least(properties_saved, properties_skipped, properties_duplicate) >= 0
        and properties_updated between 0 and properties_saved
    ),
    constraint run_locations_are_bounded check (completed_locations between 0 and total_locations)
)
-- Leaves room for the versions of a lease and of its extensions, in the same page.
with (fillfactor = 60);

-- At most one run per tick.
create unique index scraping_job_one_per_tick on scraping_job (scheduled_job_id, tick_at)
    where origin = 'scheduled';
-- For lists and their pages. The id, which orders runs of the same instant, would triple their size.
create index scraping_job_newest on scraping_job (created_at desc);
create index scraping_job_newest_by_status on scraping_job (final_status, created_at desc)
    where final_status is not null;
create index scraping_job_newest_by_job on scraping_job (scheduled_job_id, created_at desc);
create index scraping_job_newest_with_failed_locations on scraping_job (created_at desc)
    where failed_locations <> '[]';
create index scraping_job_by_original on scraping_job (original_job_id) where original_job_id is not null;

-- The labels of runs, for lists that ask for one, or for the failed or cancelled runs with one. In the order of such a
-- list, so that a page reads only its own runs, however many have the label. Each label of a run has a row, and another
-- when the run has failed or was cancelled. Completed runs are most of all, and found among all.
create table run_label (
    -- KEY=VALUE.
    label text collate "C" not null,
    -- The status in the second row, '' in the first.
    ended_as text collate "C" not null,
    created_at timestamptz not null,
    job_id text collate "C" not null,
    primary key (label, ended_as, created_at, job_id)
);

-- The queue: one narrow row for each run that has not ended, written with the run. What workers, limits and
-- the reaper ask for is answered here, whatever the number of ended runs.
create table unfinished_run (
    -- The scheduled job; '' for one-off runs.
    queue text collate "C" not null,
    source text not null,
    rank_at timestamptz not null,
    job_id text collate "C" not null,
    created_at timestamptz not null,
    origin text not null,
    tick_at timestamptz,
    queued boolean not null,
    deadline_at timestamptz,
    status text not null,
    available_at timestamptz not null,
    worker_id text,
    -- In this order also for the first runs of each queue, whatever the backlog of the others.
    primary key (queue, source, rank_at, job_id),
    constraint unfinished_run_has_not_ended check (status in ('pending', 'running'))
)
-- Rows live for seconds. Dead ones at the front of the queue would cost every look.
with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000, autovacuum_vacuum_cost_delay = 0);

-- For workers, by source, so that a backlog of other sources costs nothing.
create index unfinished_run_pending on unfinished_run (source, rank_at) where status = 'pending';
-- For limits and the reaper, and for a worker that lost the response to its lease call.
create index unfinished_run_running on unfinished_run (worker_id) where status = 'running';
create index unfinished_run_with_deadline on unfinished_run (deadline_at)
    where status = 'pending' and deadline_at is not null;
