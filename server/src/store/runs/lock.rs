//! Reading runs and locking them for a change.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::domain::id::{RunId, ScheduledJobId};
use crate::domain::run::Run;
use crate::store::StoreError;
use crate::store::rows::{RunRow, SpecRow, StateRow, with_run_columns};

/// Locks runs in the order of their ids; returns those that exist.
pub async fn runs_lock(conn: &mut PgConnection, ids: &[RunId]) -> Result<Vec<Run>, StoreError> {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let rows = select_runs!("where job_id = any($1) order by job_id for update", &ids)
        .fetch_all(conn)
        .await?;
    rows.into_iter().map(Run::try_from).collect()
}

/// Like [`runs_lock`], but skips runs that another transaction has locked.
pub async fn runs_lock_free(
    conn: &mut PgConnection,
    ids: &[RunId],
) -> Result<Vec<Run>, StoreError> {
    let ids: Vec<&str> = ids.iter().map(RunId::as_str).collect();
    let rows =
        select_runs!("where job_id = any($1) order by job_id for update skip locked", &ids as _)
            .fetch_all(conn)
            .await?;
    rows.into_iter().map(Run::try_from).collect()
}

/// Locks pending runs whose deadline has passed, skipping locked ones.
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

/// Locks running runs whose lease has expired, skipping locked ones.
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
