//! Runs. [`runs_write`] is the only statement that changes a run's state, and every insert and every
//! change appends its event in the same transaction.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;

use super::parameters::ParametersRow;
use super::policy::PolicyRow;
use super::rows::{FailedLocationRow, RunRow, RunState};
use super::{StoreError, events};
use crate::domain::id::{RunId, ScheduledJobId};
use crate::domain::labels::Labels;
use crate::domain::run::Run;

/// Selects whole runs; the first argument is what follows `from scraping_job`.
macro_rules! select_runs {
    ($tail:literal $(+ $more:literal)* $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            RunRow,
            r#"
            select
                job_id, scheduled_job_id, original_job_id, origin, status, priority, rank_at,
                parameters as "parameters: Json<ParametersRow>",
                policy as "policy: Json<PolicyRow>", deadline_at, requested_by,
                labels as "labels: Json<Labels>", tick_at, created_at, available_at, queued,
                started_at, completed_at, cancel_requested_at, properties_scraped, properties_saved,
                properties_updated, properties_skipped, properties_duplicate, total_locations,
                completed_locations, done_locations as "done_locations: Json<BTreeSet<i32>>",
                failed_locations as "failed_locations: Json<Vec<FailedLocationRow>>",
                attempt, attempt_started_at, max_attempts, error_message, revision, worker_id,
                lease_expires_at, lease_ms, lease_latest_at
            from scraping_job
            "# + $tail $(+ $more)*
            $(, $argument)*
        )
    };
}

// After the macro, which it uses.
mod list;

pub use self::list::{COUNT_LIMIT, RunFilter, runs_count, runs_list, runs_to_cancel};

/// Inserts new runs with their first events.
pub async fn runs_insert(conn: &mut PgConnection, runs: &[Run]) -> Result<(), StoreError> {
    let rows: Vec<RunRow> = runs.iter().map(RunRow::from).collect();
    sqlx::query!(
        r#"
        insert into scraping_job (
            job_id, scheduled_job_id, original_job_id, origin, status, priority, rank_at,
            parameters, policy, deadline_at, requested_by, labels, tick_at, created_at, available_at, queued,
            started_at, completed_at, cancel_requested_at, properties_scraped, properties_saved,
            properties_updated, properties_skipped, properties_duplicate, total_locations,
            completed_locations, done_locations, failed_locations, attempt, attempt_started_at,
            max_attempts, error_message, revision, worker_id, lease_expires_at, lease_ms, lease_latest_at
        )
        select
            job_id, scheduled_job_id, original_job_id, origin, status, priority, rank_at,
            parameters, policy, deadline_at, requested_by, labels, tick_at, created_at, available_at, queued,
            started_at, completed_at, cancel_requested_at, properties_scraped, properties_saved,
            properties_updated, properties_skipped, properties_duplicate, total_locations,
            completed_locations, done_locations, failed_locations, attempt, attempt_started_at,
            max_attempts, error_message, revision, worker_id, lease_expires_at, lease_ms, lease_latest_at
        from jsonb_populate_recordset(null::scraping_job, $1)
        "#,
        Json(&rows) as _,
    )
    .execute(&mut *conn)
    .await?;
    let states: Vec<RunState> = runs.iter().map(RunState::from).collect();
    events::events_append(conn, &states).await
}

/// Writes runs that `Run::apply` has changed, with their events. [`StoreError::Stale`] when one of
/// them is not at the revision before.
pub async fn runs_write(conn: &mut PgConnection, runs: &[Run]) -> Result<(), StoreError> {
    let states: Vec<RunState> = runs.iter().map(RunState::from).collect();
    let written = sqlx::query!(
        r#"
        update scraping_job r
        set
            status = n.status,
            available_at = n.available_at,
            started_at = n.started_at,
            completed_at = n.completed_at,
            cancel_requested_at = n.cancel_requested_at,
            properties_scraped = n.properties_scraped,
            properties_saved = n.properties_saved,
            properties_updated = n.properties_updated,
            properties_skipped = n.properties_skipped,
            properties_duplicate = n.properties_duplicate,
            total_locations = n.total_locations,
            completed_locations = n.completed_locations,
            done_locations = n.done_locations,
            failed_locations = n.failed_locations,
            attempt = n.attempt,
            attempt_started_at = n.attempt_started_at,
            max_attempts = n.max_attempts,
            error_message = n.error_message,
            revision = n.revision,
            worker_id = n.worker_id,
            lease_expires_at = n.lease_expires_at,
            lease_ms = n.lease_ms,
            lease_latest_at = n.lease_latest_at
        from jsonb_populate_recordset(null::scraping_job, $1) n
        where r.job_id = n.job_id
            and r.revision = n.revision - 1
        "#,
        Json(&states) as _,
    )
    .execute(&mut *conn)
    .await?
    .rows_affected();
    if usize::try_from(written).ok() != Some(runs.len()) {
        return Err(StoreError::Stale);
    }
    events::events_append(conn, &states).await
}

pub async fn run_get(conn: &mut PgConnection, id: &RunId) -> Result<Option<Run>, StoreError> {
    let row = select_runs!("where job_id = $1", id.as_str()).fetch_optional(conn).await?;
    row.map(Run::try_from).transpose()
}

/// Those of the runs that exist, in any order.
pub(super) async fn runs_get(
    conn: &mut PgConnection,
    ids: &[&str],
) -> Result<Vec<Run>, StoreError> {
    let rows = select_runs!("where job_id = any($1)", ids as _).fetch_all(conn).await?;
    rows.into_iter().map(Run::try_from).collect()
}

/// Locks runs in the order of their ids, and returns those that exist.
pub async fn runs_lock(conn: &mut PgConnection, ids: &[RunId]) -> Result<Vec<Run>, StoreError> {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let rows = select_runs!("where job_id = any($1) order by job_id for update", &ids)
        .fetch_all(conn)
        .await?;
    rows.into_iter().map(Run::try_from).collect()
}

/// Locks those of the runs that are still pending, passing over runs that somebody else has locked.
pub async fn runs_lock_pending(
    conn: &mut PgConnection,
    ids: &[RunId],
) -> Result<Vec<Run>, StoreError> {
    let ids: Vec<&str> = ids.iter().map(RunId::as_str).collect();
    let rows = select_runs!(
        r#"
        where job_id = any($1)
            and status = 'pending'
        order by job_id
        for update skip locked
        "#,
        &ids as _,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Run::try_from).collect()
}

/// The running runs of a worker whose lease still holds.
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

/// Locks pending runs whose time is over, passing over locked ones.
pub async fn runs_lock_overdue(
    conn: &mut PgConnection,
    limit: i64,
    now: DateTime<Utc>,
) -> Result<Vec<Run>, StoreError> {
    let rows = select_runs!(
        r#"
        where status = 'pending'
            and deadline_at <= $1
        order by deadline_at
        limit $2
        for update skip locked
        "#,
        now,
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Run::try_from).collect()
}

/// Locks running runs whose lease has expired, passing over locked ones.
pub async fn runs_lock_expired(
    conn: &mut PgConnection,
    limit: i64,
    now: DateTime<Utc>,
) -> Result<Vec<Run>, StoreError> {
    let rows = select_runs!(
        r#"
        where status = 'running'
            and lease_expires_at <= $1
        order by lease_expires_at
        limit $2
        for update skip locked
        "#,
        now,
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Run::try_from).collect()
}

/// Locks the pending runs of a scheduled job in the order of their ids.
pub async fn runs_lock_pending_of(
    conn: &mut PgConnection,
    job: &ScheduledJobId,
) -> Result<Vec<Run>, StoreError> {
    let rows = select_runs!(
        "where scheduled_job_id = $1 and status = 'pending' order by job_id for update",
        job.as_str(),
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Run::try_from).collect()
}

/// The newest runs of a scheduled job, and those triggered from it by `original_job_id`.
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

/// When the last run of a job began that read these parameters completely, without a failed location.
pub async fn run_complete_started(
    conn: &mut PgConnection,
    job: &ScheduledJobId,
    parameters: &Value,
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
        parameters,
    )
    .fetch_optional(conn)
    .await?;
    Ok(started)
}

/// How many runs of a scheduled job have not ended.
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

/// How many runs only `original_job_id` links to a scheduled job, as imported ones may be.
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
