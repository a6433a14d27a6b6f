//! Runs. The statement of `write` is the only one that changes the state of a run, except that `leases` extends
//! leases.

mod insert;
mod list;
mod lock;
mod write;

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use sqlx::postgres::PgArguments;
use sqlx::query::QueryAs;
use sqlx::types::Json;
use sqlx::{AssertSqlSafe, PgConnection, Postgres};

use super::rows::{RunRow, SpecRow, StateRow};
use crate::domain::id::{RunId, ScheduledJobId};
use crate::domain::parameters::ScrapeParameters;
use crate::domain::run::Run;
use crate::store::{Budget, StoreError};

pub use self::insert::{NewRunRow, runs_insert, runs_insert_free, runs_insert_once};
pub use self::list::{COUNT_LIMIT, runs_count, runs_list, runs_to_cancel};
pub use self::lock::{
    runs_lock, runs_lock_chosen, runs_lock_expired, runs_lock_free, runs_lock_overdue,
    runs_lock_pending_of,
};
pub use self::write::{runs_write, runs_write_free};

/// Selects whole runs.
static SELECT: LazyLock<String> = LazyLock::new(|| {
    let columns = SpecRow::COLUMNS.iter().chain(StateRow::COLUMNS);
    let names: Vec<&str> = columns.map(|(name, _)| *name).collect();
    format!("select {} from scraping_job", names.join(", "))
});

/// Selects whole runs; `rest` is the statement after `from scraping_job`.
fn select_runs(rest: &'static str) -> QueryAs<'static, Postgres, RunRow, PgArguments> {
    sqlx::query_as(AssertSqlSafe(format!("{} {rest}", *SELECT)))
}

fn to_runs(rows: Vec<RunRow>) -> Result<Vec<Run>, StoreError> {
    rows.into_iter().map(Run::try_from).collect()
}

pub async fn run_get(conn: &mut PgConnection, id: &RunId) -> Result<Option<Run>, StoreError> {
    let row = select_runs("where job_id = $1").bind(id.as_str()).fetch_optional(conn).await?;
    row.map(Run::try_from).transpose()
}

/// The runs that exist among `ids`, in any order.
pub async fn runs_get(conn: &mut PgConnection, ids: &[&str]) -> Result<Vec<Run>, StoreError> {
    to_runs(select_runs("where job_id = any($1)").bind(ids).fetch_all(conn).await?)
}

/// Those of the runs in `ids` that fit into a budget, in any order.
pub async fn runs_get_some(
    conn: &mut PgConnection,
    ids: &[&str],
    budget: &mut Budget,
) -> Result<Vec<Run>, StoreError> {
    budget.collect(select_runs("where job_id = any($1)").bind(ids).fetch(conn), Run::try_from).await
}

/// Those of the runs in `ids` that `keep` selects, in this order, up to a budget.
pub async fn runs_get_within(
    conn: &mut PgConnection,
    ids: &[&str],
    keep: impl Fn(&Run) -> bool,
    budget: &mut Budget,
) -> Result<Vec<Run>, StoreError> {
    let select = select_runs("where job_id = any($1) order by array_position($1, job_id)");
    let select = select.bind(ids);
    budget.collect_if(select.fetch(conn), Run::try_from, keep).await
}

/// The newest runs of a scheduled job, including those linked by `original_job_id` only, up to a budget.
pub async fn runs_newest_of(
    conn: &mut PgConnection,
    job: &ScheduledJobId,
    limit: i64,
    budget: &mut Budget,
) -> Result<Vec<Run>, StoreError> {
    let newest = select_runs(
        "where job_id = any(array(
            (
                select job_id
                from scraping_job
                where scheduled_job_id = $1
                order by created_at desc, job_id desc
                limit $2
            )
            union all
            (
                select job_id
                from scraping_job
                where original_job_id = $1
                    and scheduled_job_id is distinct from $1
                order by created_at desc, job_id desc
                limit $2
            )
        ))
        order by created_at desc, job_id desc
        limit $2",
    );
    budget.collect(newest.bind(job.as_str()).bind(limit).fetch(conn), Run::try_from).await
}

/// Start of the last completed run of a job with these parameters and without a failed location.
pub async fn run_complete_started(
    conn: &mut PgConnection,
    job: &ScheduledJobId,
    parameters: &ScrapeParameters,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    let started = sqlx::query_scalar!(
        r#"
        select started_at as "started_at!"
        from scraping_job
        where scheduled_job_id = $1
            and final_status = 'completed'
            and started_at is not null
            and failed_locations = '[]'
            and parameters - 'full_scrape' - 'request_delay' = $2
        order by completed_at desc
        limit 1
        "#,
        job.as_str(),
        Json(parameters) as _,
    )
    .fetch_optional(conn)
    .await?;
    Ok(started)
}

/// Number of runs of a scheduled job that have not ended.
pub async fn runs_count_active(
    conn: &mut PgConnection,
    job: &ScheduledJobId,
) -> Result<i64, StoreError> {
    let count = sqlx::query_scalar!(
        r#"
        select count(*) as "count!"
        from unfinished_run
        where queue = $1
        "#,
        job.as_str(),
    )
    .fetch_one(conn)
    .await?;
    Ok(count)
}

/// Number of runs of a scheduled job beyond its `run_count`: those that have not ended, less those that an import
/// counted but did not have.
pub async fn runs_count_beyond_history(
    conn: &mut PgConnection,
    job: &ScheduledJobId,
) -> Result<i64, StoreError> {
    let count = sqlx::query_scalar!(
        r#"
        select
            (select count(*) from unfinished_run where queue = $1)
            - coalesce(sum(runs_without_row), 0)::bigint as "count!"
        from scheduled_job_history
        where scheduled_job_id = $1
        "#,
        job.as_str(),
    )
    .fetch_one(conn)
    .await?;
    Ok(count)
}

/// Number of runs that only `original_job_id` links to a scheduled job, as in imported data.
pub async fn runs_count_linked_by_original(
    conn: &mut PgConnection,
    job: &ScheduledJobId,
) -> Result<i64, StoreError> {
    let count = sqlx::query_scalar!(
        r#"
        select count(*) as "count!"
        from scraping_job
        where original_job_id = $1
            and scheduled_job_id is distinct from $1
        "#,
        job.as_str(),
    )
    .fetch_one(conn)
    .await?;
    Ok(count)
}
