//! Reading runs and locking them for a change.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{SELECT, select_runs, to_runs};
use crate::domain::id::{RunId, ScheduledJobId};
use crate::domain::run::Run;
use crate::store::rows::RunRow;
use crate::store::{Budget, StoreError};

/// Locks runs in the order of their ids; returns those that exist.
pub async fn runs_lock(conn: &mut PgConnection, ids: &[RunId]) -> Result<Vec<Run>, StoreError> {
    let lock = select_runs("where job_id = any($1) order by job_id for update");
    to_runs(lock.bind(texts(ids)).fetch_all(conn).await?)
}

/// Like [`runs_lock`], but skips runs that another transaction has locked, and reads up to a budget. The others may be
/// locked too.
pub async fn runs_lock_free(
    conn: &mut PgConnection,
    ids: &[RunId],
    budget: &mut Budget,
) -> Result<Vec<Run>, StoreError> {
    let lock = select_runs("where job_id = any($1) order by job_id for update skip locked");
    budget.collect(lock.bind(texts(ids)).fetch(conn), Run::try_from).await
}

/// Locks runs that were chosen for leases like [`runs_lock_free`], and records that their queues have had their turns.
pub async fn runs_lock_chosen(
    conn: &mut PgConnection,
    ids: &[RunId],
    queues: &BTreeSet<String>,
    now: DateTime<Utc>,
    budget: &mut Budget,
) -> Result<Vec<Run>, StoreError> {
    let queues: Vec<&str> = queues.iter().map(String::as_str).collect();
    let lock = sqlx::query_as(LOCK_CHOSEN.as_str()).bind(texts(ids)).bind(queues).bind(now);
    budget.collect(lock.fetch(conn), |row: RunRow| Run::try_from(row)).await
}

static LOCK_CHOSEN: LazyLock<String> = LazyLock::new(|| {
    format!(
        "with turned as (
            insert into turn (queue, had_at)
            select queue, $3 from unnest($2::text[]) as n (queue)
            on conflict (queue) do update set had_at = excluded.had_at
        )
        {} where job_id = any($1) order by job_id for update skip locked",
        *SELECT
    )
});

/// Locks pending runs whose deadline has passed, skipping locked ones.
pub async fn runs_lock_overdue(
    conn: &mut PgConnection,
    limit: i64,
    now: DateTime<Utc>,
) -> Result<Vec<Run>, StoreError> {
    let lock = select_runs(
        "where job_id = any(array(
            select job_id
            from unfinished_run
            where status = 'pending'
                and deadline_at <= $1
            order by deadline_at
            limit $2
        ))
            and status = 'pending'
        order by deadline_at
        for update skip locked",
    );
    to_runs(lock.bind(now).bind(limit).fetch_all(conn).await?)
}

/// Locks running runs whose lease has expired, skipping locked ones. Since `served_since`, workers had the length of
/// a lease, or a minute, to extend it.
pub async fn runs_lock_expired(
    conn: &mut PgConnection,
    limit: i64,
    served_since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Vec<Run>, StoreError> {
    let lock = select_runs(
        "where job_id = any(array(select job_id from unfinished_run where status = 'running'))
            and status = 'running'
            and lease_expires_at <= $1
            and (
                lease_latest_at <= $1
                or $3 + least(lease_ms, 60000) * interval '1 millisecond' <= $1
            )
        order by lease_expires_at
        limit $2
        for update skip locked",
    );
    to_runs(lock.bind(now).bind(limit).bind(served_since).fetch_all(conn).await?)
}

/// Locks the pending runs of a scheduled job in the order of their ids.
pub async fn runs_lock_pending_of(
    conn: &mut PgConnection,
    job: &ScheduledJobId,
) -> Result<Vec<Run>, StoreError> {
    let lock = select_runs(
        "where job_id = any(array(
            select job_id from unfinished_run where queue = $1 and status = 'pending'
        ))
            and status = 'pending'
        order by job_id
        for update",
    );
    to_runs(lock.bind(job.as_str()).fetch_all(conn).await?)
}

fn texts(ids: &[RunId]) -> Vec<&str> {
    ids.iter().map(RunId::as_str).collect()
}
