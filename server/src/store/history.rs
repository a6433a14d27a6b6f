//! The history of scheduled jobs: counters and the last run.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::StoreError;
use crate::domain::id::{RunId, ScheduledJobId};
use crate::domain::run::Status;

/// Runs of one scheduled job that ended in this transaction.
#[derive(Clone, Debug)]
pub struct Ended {
    pub scheduled_job_id: ScheduledJobId,
    pub count: i64,
    /// Start of the last of them, or its end if it never started.
    pub run_at: DateTime<Utc>,
    pub status: Status,
    pub job_id: RunId,
    pub ended_at: DateTime<Utc>,
}

/// Adds runs that just ended to the history; `ended` contains each scheduled job once. Rows are locked in the
/// order of their ids.
pub async fn history_add(conn: &mut PgConnection, ended: &[Ended]) -> Result<(), StoreError> {
    let ids: Vec<String> = ended.iter().map(|e| e.scheduled_job_id.to_string()).collect();
    sqlx::query!(
        r#"
        select scheduled_job_id
        from scheduled_job_history
        where scheduled_job_id = any($1)
        order by scheduled_job_id
        for no key update
        "#,
        &ids,
    )
    .fetch_all(&mut *conn)
    .await?;
    let counts: Vec<i64> = ended.iter().map(|e| e.count).collect();
    let run_at: Vec<DateTime<Utc>> = ended.iter().map(|e| e.run_at).collect();
    let statuses: Vec<String> = ended.iter().map(|e| e.status.into_str().to_owned()).collect();
    let job_ids: Vec<String> = ended.iter().map(|e| e.job_id.to_string()).collect();
    let ended_at: Vec<DateTime<Utc>> = ended.iter().map(|e| e.ended_at).collect();
    sqlx::query!(
        r#"
        update scheduled_job_history h
        set
            run_count = h.run_count + e.count,
            last_run_at = case when e.is_last then e.run_at else h.last_run_at end,
            last_run_status = case when e.is_last then e.status else h.last_run_status end,
            last_run_job_id = case when e.is_last then e.job_id else h.last_run_job_id end,
            last_ended_at = case when e.is_last then e.ended_at else h.last_ended_at end
        from (
            select n.*, h.last_ended_at is null or n.ended_at >= h.last_ended_at as is_last
            from unnest(
                $1::text[], $2::bigint[], $3::timestamptz[], $4::text[], $5::text[],
                $6::timestamptz[]
            ) as n (scheduled_job_id, count, run_at, status, job_id, ended_at)
            join scheduled_job_history h using (scheduled_job_id)
        ) e
        where h.scheduled_job_id = e.scheduled_job_id
        "#,
        &ids,
        &counts,
        &run_at,
        &statuses,
        &job_ids,
        &ended_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}
