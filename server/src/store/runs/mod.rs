//! Runs. [`runs_write`] is the only statement that changes the state of a run, except that `leases` extends
//! leases. Every insert and change appends its event in the same transaction.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;

use super::rows::{RunRow, SpecRow, StateRow, with_run_columns};
use super::{StoreError, events};
use crate::domain::id::{RunId, ScheduledJobId};
use crate::domain::parameters::ScrapeParameters;
use crate::domain::run::Run;

/// Selects whole runs; the first argument is the statement after `from scraping_job`.
macro_rules! select_runs {
    ($($tail:tt)*) => { with_run_columns!(select_run_columns, $($tail)*) };
}

macro_rules! select_run_columns {
    (
        $spec:literal,
        $state:literal,
        $tail:literal $(+ $more:literal)* $(, $argument:expr)* $(,)?
    ) => {
        sqlx::query_as!(
            RunRow,
            "select (select to_jsonb(s) from (select " + $spec + r#") s) as "spec!: Json<SpecRow>","#
                + "(select to_jsonb(s) from (select job_id, "
                + $state
                + r#") s) as "state!: Json<StateRow>" from scraping_job "#
                + $tail $(+ $more)*
            $(, $argument)*
        )
    };
}

macro_rules! insert_runs {
    ($spec:literal, $state:literal, $rows:expr, $events:expr) => {
        sqlx::query!(
            "with run as (insert into scraping_job (job_id, "
                + $spec
                + ", "
                + $state
                + ") select job_id, "
                + $spec
                + ", "
                + $state
                + r#"
                from jsonb_populate_recordset(null::scraping_job, $1)
                )
                insert into run_event (xid, job_id, revision, status, failed_locations, run)
                select
                    pg_current_xact_id(), n ->> 'job_id', (n ->> 'revision')::bigint, n ->> 'status',
                    coalesce(jsonb_array_length(n -> 'failed_locations'), 0), n
                from jsonb_array_elements($2) n
                "#,
            Json($rows) as _,
            Json($events) as _,
        )
    };
}

macro_rules! update_runs {
    ($spec:literal, $state:literal, $states:expr) => {
        sqlx::query!(
            "update scraping_job r set ("
                + $state
                + ") = (select "
                + $state
                + r#"
                from jsonb_populate_record(null::scraping_job, n.state)
                )
                from jsonb_array_elements($1) n (state)
                where r.job_id = n.state ->> 'job_id'
                    and r.revision = (n.state ->> 'revision')::bigint - 1
                "#,
            Json($states) as _,
        )
    };
}

// After the macros, which it uses.
mod list;
mod lock;

pub use self::list::{COUNT_LIMIT, runs_count, runs_list, runs_to_cancel};
pub use self::lock::{
    runs_lock, runs_lock_expired, runs_lock_free, runs_lock_overdue, runs_lock_pending_of,
};

/// Inserts new runs with their first events.
pub async fn runs_insert(conn: &mut PgConnection, runs: &[Run]) -> Result<(), StoreError> {
    let rows: Vec<RunRow> = runs.iter().map(RunRow::from).collect();
    let events: Vec<Value> =
        rows.iter().map(|row| row.state.event_body()).collect::<Result<_, _>>()?;
    with_run_columns!(insert_runs, &rows, &events).execute(conn).await?;
    Ok(())
}

/// Writes runs that `Run::apply` has changed, with their events. Fails with [`StoreError::Stale`] if one of them
/// is no longer at the revision before.
pub async fn runs_write(conn: &mut PgConnection, runs: &[Run]) -> Result<(), StoreError> {
    let states: Vec<StateRow> = runs.iter().map(StateRow::from).collect();
    let written =
        with_run_columns!(update_runs, &states).execute(&mut *conn).await?.rows_affected();
    if usize::try_from(written).ok() != Some(runs.len()) {
        return Err(StoreError::Stale);
    }
    events::events_append(conn, &states).await
}

pub async fn run_get(conn: &mut PgConnection, id: &RunId) -> Result<Option<Run>, StoreError> {
    let row = select_runs!("where job_id = $1", id.as_str()).fetch_optional(conn).await?;
    row.map(Run::try_from).transpose()
}

/// The runs that exist among `ids`, in any order.
pub async fn runs_get(conn: &mut PgConnection, ids: &[&str]) -> Result<Vec<Run>, StoreError> {
    let rows = select_runs!("where job_id = any($1)", ids as _).fetch_all(conn).await?;
    rows.into_iter().map(Run::try_from).collect()
}

/// Running runs of a worker with an unexpired lease.
pub async fn runs_leased_to(
    conn: &mut PgConnection,
    worker_id: &str,
    now: DateTime<Utc>,
) -> Result<Vec<Run>, StoreError> {
    let rows = select_runs!(
        "where status = 'running' and worker_id = $1 and lease_expires_at > $2 order by job_id",
        worker_id,
        now,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Run::try_from).collect()
}

/// The newest runs of a scheduled job, including those linked by `original_job_id` only.
pub async fn runs_newest_of(
    conn: &mut PgConnection,
    job: &ScheduledJobId,
    limit: i64,
) -> Result<Vec<Run>, StoreError> {
    let rows = select_runs!(
        r#"
        where scheduled_job_id = $1
            or original_job_id = $1
        order by created_at desc, job_id desc
        limit $2
        "#,
        job.as_str(),
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Run::try_from).collect()
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
            and status = 'completed'
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
        from scraping_job
        where scheduled_job_id = $1
            and status in ('pending', 'running')
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
