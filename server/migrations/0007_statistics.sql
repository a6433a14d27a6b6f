-- For statistics, which read the runs of a job that ended in a window, and its last success: the cost of a
-- window depends on its own runs and not on the history before it.

create index scraping_job_ended_by_job on scraping_job (scheduled_job_id, final_status, completed_at)
    where final_status is not null;
