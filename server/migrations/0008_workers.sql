-- Who executes runs, whose turn it is, and what workers and sources said.

-- Workers that ask for runs or hold some. It answers whether anybody serves a source; leases do not
-- depend on it.
create table worker (
    worker_id text primary key,
    sources text[] not null,
    seen_at timestamptz not null
);

create index worker_by_age on worker (seen_at);

-- When a scheduled job last had a run leased; '' stands for all one-off runs. Jobs take turns by it.
-- Written under the lock that serialises leases.
create table turn (
    queue text primary key,
    had_at timestamptz not null
);

-- A run's log. Written under the run's lock, so that numbers grow as lines become visible.
create table scraping_job_log (
    job_id text not null references scraping_job,
    number bigint not null,
    attempt int not null,
    -- The worker's own count in the attempt; 0 for lines that the server wrote.
    sequence bigint not null,
    location text not null,
    logged_at timestamptz not null,
    level text not null,
    text text not null,
    -- By the database's time, as workers' clocks may be wrong: lines are forgotten by it.
    received_at timestamptz not null,
    primary key (job_id, number),
    constraint log_level_is_known check (level in ('debug', 'info', 'warning', 'error'))
);

-- A line that is sent again is kept once.
create unique index scraping_job_log_once on scraping_job_log (job_id, attempt, sequence)
    where sequence > 0;
create index scraping_job_log_by_location on scraping_job_log (job_id, attempt, location);
create index scraping_job_log_by_age on scraping_job_log (received_at);
