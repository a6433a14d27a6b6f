-- Statistics look at the runs of a job that ended in a window, and for its last success.

create index scraping_job_ended_by_job on scraping_job (scheduled_job_id, status, completed_at)
    where completed_at is not null;
