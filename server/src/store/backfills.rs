//! Backfilled ticks, whose runs were created after the decision about the tick.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::StoreError;
use crate::domain::id::{RunId, ScheduledJobId};
use crate::domain::run::Run;

/// Runs of ticks, created by the tick itself or by a backfill; the tick's own run takes precedence.
pub async fn runs_of_ticks(
    conn: &mut PgConnection,
    job: &ScheduledJobId,
    ticks: &[DateTime<Utc>],
) -> Result<BTreeMap<DateTime<Utc>, String>, StoreError> {
    let rows = sqlx::query!(
        r#"
        select tick_at as "tick_at!", job_id as "job_id!"
        from backfill
        where scheduled_job_id = $1
            and tick_at = any($2)
        union all
        select tick_at, job_id
        from scraping_job
        where scheduled_job_id = $1
            and tick_at = any($2)
            and origin = 'scheduled'
        "#,
        job.as_str(),
        ticks,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.tick_at, row.job_id)).collect())
}

/// The run that a backfill created for a tick.
pub async fn backfill_get(
    conn: &mut PgConnection,
    job: &ScheduledJobId,
    tick: DateTime<Utc>,
) -> Result<Option<RunId>, StoreError> {
    let id = sqlx::query_scalar!(
        "select job_id from backfill where scheduled_job_id = $1 and tick_at = $2",
        job.as_str(),
        tick,
    )
    .fetch_optional(conn)
    .await?;
    Ok(id.and_then(|id| RunId::parse(&id).ok()))
}

/// Ticks for which a request created runs, with those runs.
pub async fn backfills_of_request(
    conn: &mut PgConnection,
    job: &ScheduledJobId,
    request_id: &str,
) -> Result<BTreeMap<DateTime<Utc>, String>, StoreError> {
    let rows = sqlx::query!(
        "select tick_at, job_id from backfill where scheduled_job_id = $1 and request_id = $2",
        job.as_str(),
        request_id,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.tick_at, row.job_id)).collect())
}

/// Records the runs of backfilled ticks.
pub async fn backfills_insert(
    conn: &mut PgConnection,
    runs: &[Run],
    request_id: &str,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let jobs: Vec<Option<&str>> = runs
        .iter()
        .map(|run| run.spec.scheduled_job_id.as_ref().map(ScheduledJobId::as_str))
        .collect();
    let ticks: Vec<_> = runs.iter().map(|run| run.spec.tick_at).collect();
    let ids: Vec<&str> = runs.iter().map(|run| run.spec.id.as_str()).collect();
    let requested_by: Vec<&str> = runs.iter().map(|run| run.spec.requested_by.as_str()).collect();
    sqlx::query!(
        r#"
        insert into backfill (
            scheduled_job_id, tick_at, job_id, requested_by, request_id, made_at
        )
        select n.scheduled_job_id, n.tick_at, n.job_id, n.requested_by, $5, $6
        from unnest($1::text[], $2::timestamptz[], $3::text[], $4::text[])
            as n (scheduled_job_id, tick_at, job_id, requested_by)
        "#,
        &jobs as _,
        &ticks as _,
        &ids as _,
        &requested_by as _,
        request_id,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}
