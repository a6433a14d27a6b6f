-- Workers, fair turns among jobs, and the logs of runs.

-- Workers that request or hold runs. Used to tell whether any worker serves a source; leases do not
-- depend on it.
create table worker (
    worker_id text primary key,
    sources text[] not null,
    seen_at timestamptz not null
);

create index worker_by_age on worker (seen_at);

-- Servers that serve calls or execute runs, so that they can agree on limits.
create table server (
    server text primary key,
    -- The maximum number of concurrent runs of each source that it knows; null is no limit.
    source_limits jsonb not null,
    seen_at timestamptz not null
);

-- Time of the last lease of a scheduled job's run, by which jobs take turns; '' stands for all one-off
-- runs. Written under the lock that serializes leasing.
create table turn (
    queue text collate "C" primary key,
    had_at timestamptz not null
);

-- Logs of runs. Written under the run's lock, so that lines become visible in the order of their numbers.
create table scraping_job_log (
    job_id text collate "C" not null references scraping_job,
    number bigint not null,
    attempt int not null,
    -- The worker's line number in the attempt; 0 for lines of the server.
    sequence bigint not null,
    location text not null,
    logged_at timestamptz not null,
    level text not null,
    text text not null,
    -- Database time, for pruning: the clocks of workers may be wrong.
    received_at timestamptz not null,
    primary key (job_id, number),
    constraint log_level_is_known check (level in ('debug', 'info', 'warning', 'error'))
);

-- A line that is sent twice is stored once.
create unique index scraping_job_log_once on scraping_job_log (job_id, attempt, sequence)
    where sequence > 0;
create index scraping_job_log_by_location on scraping_job_log (job_id, attempt, location);
create index scraping_job_log_by_age on scraping_job_log (received_at);
