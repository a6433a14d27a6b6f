//! Leases of running attempts. Extending one writes no event.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::StoreError;

/// A running attempt as its worker knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptKey {
    /// The run.
    pub job_id: String,
    /// The attempt.
    pub attempt: i32,
}

/// An attempt that still has its lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveAttempt {
    /// The run.
    pub job_id: String,
    /// Whether its cancellation was asked for.
    pub cancel_requested: bool,
}

/// Extends the leases of attempts that still have theirs, and returns those. A lease is never
/// shortened.
pub async fn leases_extend(
    conn: &mut PgConnection,
    attempts: &[AttemptKey],
    until: DateTime<Utc>,
) -> Result<Vec<LiveAttempt>, StoreError> {
    let (job_ids, numbers) = columns(attempts);
    let live = sqlx::query_as!(
        LiveAttempt,
        r#"
        update scraping_job r
        set lease_expires_at = greatest(r.lease_expires_at, $3)
        from (
            select r.job_id
            from unnest($1::text[], $2::int[]) as n (job_id, attempt)
            join scraping_job r on r.job_id = n.job_id and r.attempt = n.attempt
            where r.status = 'running'
            order by r.job_id
            for update of r
        ) n
        where r.job_id = n.job_id
        returning r.job_id, r.cancel_requested_at is not null as "cancel_requested!"
        "#,
        &job_ids,
        &numbers,
        until,
    )
    .fetch_all(conn)
    .await?;
    Ok(live)
}

/// The attempts that still have their lease.
pub async fn leases_live(
    conn: &mut PgConnection,
    attempts: &[AttemptKey],
) -> Result<Vec<LiveAttempt>, StoreError> {
    let (job_ids, numbers) = columns(attempts);
    let live = sqlx::query_as!(
        LiveAttempt,
        r#"
        select r.job_id, r.cancel_requested_at is not null as "cancel_requested!"
        from unnest($1::text[], $2::int[]) as n (job_id, attempt)
        join scraping_job r on r.job_id = n.job_id and r.attempt = n.attempt
        where r.status = 'running'
        "#,
        &job_ids,
        &numbers,
    )
    .fetch_all(conn)
    .await?;
    Ok(live)
}

fn columns(attempts: &[AttemptKey]) -> (Vec<String>, Vec<i32>) {
    attempts.iter().map(|key| (key.job_id.clone(), key.attempt)).unzip()
}
