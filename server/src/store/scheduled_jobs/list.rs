//! Lists of scheduled jobs.

use sqlx::PgConnection;

use super::JobRow;
use crate::domain::filter::JobFilter;
use crate::domain::id::ScheduledJobId;
use crate::domain::scheduled_job::ScheduledJob;
use crate::store::conditions::{Statement, push_accepted, push_equal, push_labels, push_period};
use crate::store::{Budget, StoreError};

const SELECT: &str = "\
    select \
        j.scheduled_job_id, j.name, j.cron_expression, j.timezone, j.parameters, j.priority, \
        j.labels, j.policy, j.max_concurrent_runs, j.tick_policy, j.version, j.created_at, \
        j.revision, s.status, s.pause_reason, s.paused_until, s.deleted_at, s.updated_at, \
        s.watermark, s.next_tick_at, h.run_count, h.last_run_at, h.last_run_status, \
        h.last_run_job_id \
    from scheduled_job j \
    join scheduled_job_schedule s using (scheduled_job_id) \
    join scheduled_job_history h using (scheduled_job_id) \
    where true";

/// Appends the conditions of a filter; a `where` precedes them.
fn push_conditions(sql: &mut Statement, filter: &JobFilter) {
    let JobFilter { show_deleted, conditions } = filter;
    if !show_deleted {
        sql.push(" and s.deleted_at is null");
    }
    push_accepted(sql, "s.status", conditions.status.as_deref());
    push_accepted(sql, "j.priority", conditions.priority.as_deref());
    push_equal(sql, "j.parameters ->> 'source'", conditions.source.as_deref());
    push_period(sql, "j.created_at", conditions.created);
    push_labels(sql, "j.labels", &conditions.labels);
}

/// Scheduled jobs that match, by id, up to a budget; with `after`, those after it.
pub async fn scheduled_jobs_list(
    conn: &mut PgConnection,
    filter: &JobFilter,
    after: Option<&ScheduledJobId>,
    limit: i64,
    budget: &mut Budget,
) -> Result<Vec<ScheduledJob>, StoreError> {
    let mut sql = Statement::new(SELECT);
    push_conditions(&mut sql, filter);
    if let Some(id) = after {
        sql.push(" and j.scheduled_job_id > ").push_bind(id.as_str());
    }
    sql.push(" order by j.scheduled_job_id limit ").push_bind(limit);
    let rows = sql.build_query_as::<JobRow>().persistent(false).fetch(conn);
    budget.collect(rows, ScheduledJob::try_from).await
}

/// Number of scheduled jobs that match on all pages.
pub async fn scheduled_jobs_count(
    conn: &mut PgConnection,
    filter: &JobFilter,
) -> Result<i64, StoreError> {
    // Every schedule has its job. An outer join, so that a count of all reads only the schedules.
    let mut sql = Statement::new(
        "select count(*) \
         from scheduled_job_schedule s \
         left join scheduled_job j using (scheduled_job_id) \
         where true",
    );
    push_conditions(&mut sql, filter);
    Ok(sql.build_query_scalar().persistent(false).fetch_one(conn).await?)
}
