-- For statistics, which read the runs of a job that ended in a window, and its last success. The index
-- covers them, so the cost of a window depends on its own runs and not on the history before it.

create index scraping_job_ended_by_job on scraping_job (scheduled_job_id, status, completed_at)
    include (started_at, properties_scraped, properties_saved)
    where completed_at is not null;
