//! Lists of runs, and the runs of a bulk cancellation.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::domain::filter::RunFilter;
use crate::domain::id::{RunId, ScheduledJobId};
use crate::domain::run::Run;
use crate::store::StoreError;
use crate::store::conditions::{
    Statement, push_accepted, push_equal, push_labels, push_length, push_period,
};
use crate::store::rows::{RunRow, with_run_columns};

/// Totals are exact up to this number.
pub const COUNT_LIMIT: i64 = 10_000;

macro_rules! select_list {
    ($spec:literal, $state:literal) => {
        concat!(
            "select (select to_jsonb(s) from (select ",
            $spec,
            ") s) as spec, (select to_jsonb(s) from (select job_id, ",
            $state,
            ") s) as state from scraping_job where true",
        )
    };
}

/// Appends the conditions of a filter; a `where` precedes them.
fn push_conditions(sql: &mut Statement, filter: &RunFilter) {
    let RunFilter { scheduled_job_id, conditions } = filter;
    for job in [scheduled_job_id, &conditions.scheduled_job_id] {
        push_equal(sql, "scheduled_job_id", job.as_ref().map(ScheduledJobId::as_str));
    }
    push_accepted(sql, "status", conditions.status.as_deref());
    push_accepted(sql, "origin", conditions.origin.as_deref());
    push_accepted(sql, "priority", conditions.priority.as_deref());
    push_equal(sql, "source", conditions.source.as_deref());
    push_period(sql, "created_at", conditions.created);
    push_length(sql, "failed_locations", &conditions.failed_locations);
    push_labels(sql, "labels", &conditions.labels);
}

/// Runs that match, newest first; with `after`, those older than it.
pub async fn runs_list(
    conn: &mut PgConnection,
    filter: &RunFilter,
    after: Option<&(DateTime<Utc>, RunId)>,
    limit: i64,
) -> Result<Vec<Run>, StoreError> {
    let mut sql = Statement::new(with_run_columns!(select_list));
    push_conditions(&mut sql, filter);
    if let Some((created_at, id)) = after {
        sql.push(" and (created_at, job_id) < (").push_bind(created_at);
        sql.push(", ").push_bind(id.as_str()).push(")");
    }
    sql.push(" order by created_at desc, job_id desc limit ").push_bind(limit);
    let rows: Vec<RunRow> = sql.build_query_as().persistent(false).fetch_all(conn).await?;
    rows.into_iter().map(Run::try_from).collect()
}

/// Number of runs that match on all pages, counted up to one more than [`COUNT_LIMIT`].
pub async fn runs_count(conn: &mut PgConnection, filter: &RunFilter) -> Result<i64, StoreError> {
    let mut sql = Statement::new("select count(*) from (select from scraping_job where true");
    push_conditions(&mut sql, filter);
    sql.push(" limit ").push_bind(COUNT_LIMIT + 1).push(") matching");
    Ok(sql.build_query_scalar().persistent(false).fetch_one(conn).await?)
}

/// Ids after `after` of the runs that match, were created up to `now` and can be cancelled.
pub async fn runs_to_cancel(
    conn: &mut PgConnection,
    filter: &RunFilter,
    after: &str,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<RunId>, StoreError> {
    let mut sql = Statement::new(
        "select job_id \
         from scraping_job \
         where status in ('pending', 'running') \
            and cancel_requested_at is null \
            and job_id > ",
    );
    sql.push_bind(after).push(" and created_at <= ").push_bind(now);
    push_conditions(&mut sql, filter);
    sql.push(" order by job_id limit ").push_bind(limit);
    let ids: Vec<String> = sql.build_query_scalar().persistent(false).fetch_all(conn).await?;
    Ok(ids.iter().filter_map(|id| RunId::parse(id).ok()).collect())
}
