//! Leases of running attempts. Extending a lease writes no event.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::StoreError;
use crate::domain::id::RunId;

/// An attempt, and the worker that may hold its lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeaseKey<'a> {
    pub worker_id: &'a str,
    pub job_id: &'a str,
    pub attempt: i32,
}

/// An attempt that still has a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveAttempt {
    pub job_id: String,
    pub attempt: i32,
    pub worker_id: String,
    pub cancel_requested: bool,
    pub expires_at: DateTime<Utc>,
    /// Length of an extension.
    pub lease_ms: i64,
    /// No extension reaches beyond this time.
    pub latest_at: DateTime<Utc>,
}

impl LiveAttempt {
    pub fn key(&self) -> LeaseKey<'_> {
        LeaseKey { worker_id: &self.worker_id, job_id: &self.job_id, attempt: self.attempt }
    }
}

/// Number of running runs of one source and one scheduled job.
#[derive(Clone, Debug)]
pub struct RunningCount {
    pub source: String,
    /// The scheduled job; empty for one-off runs.
    pub queue: String,
    /// The job's concurrency limit; 0 is no limit.
    pub job_limit: i64,
    pub count: i64,
}

/// The running runs of workers, by worker.
pub async fn leases_of(
    conn: &mut PgConnection,
    worker_ids: &[&str],
) -> Result<BTreeMap<String, Vec<String>>, StoreError> {
    let rows = sqlx::query!(
        r#"
        select worker_id as "worker_id!", job_id
        from unfinished_run
        where status = 'running'
            and worker_id = any($1)
        "#,
        worker_ids as _,
    )
    .fetch_all(conn)
    .await?;
    let mut leased: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in rows {
        leased.entry(row.worker_id).or_default().push(row.job_id);
    }
    Ok(leased)
}

pub async fn running_counts(conn: &mut PgConnection) -> Result<Vec<RunningCount>, StoreError> {
    let counts = sqlx::query_as!(
        RunningCount,
        r#"
        select
            r.source,
            r.queue,
            coalesce(max(j.max_concurrent_runs), 0)::bigint as "job_limit!",
            count(*) as "count!"
        from unfinished_run r
        left join scheduled_job j on j.scheduled_job_id = r.queue
        where r.status = 'running'
        group by 1, 2
        "#
    )
    .fetch_all(conn)
    .await?;
    Ok(counts)
}

/// For each queued run that waits, the first unfinished run of an earlier tick.
pub async fn runs_before(
    conn: &mut PgConnection,
    queued: &[&RunId],
) -> Result<BTreeMap<RunId, RunId>, StoreError> {
    if queued.is_empty() {
        return Ok(BTreeMap::new());
    }
    let ids: Vec<&str> = queued.iter().map(|id| id.as_str()).collect();
    let rows = sqlx::query!(
        r#"
        select distinct on (r.job_id) r.job_id, e.job_id as earlier
        from scraping_job r
        join unfinished_run e
            on e.queue = r.scheduled_job_id
            and e.origin = 'scheduled'
            and e.tick_at < r.tick_at
        where r.job_id = any($1)
        order by r.job_id, e.tick_at
        "#,
        &ids as _,
    )
    .fetch_all(conn)
    .await?;
    let pair =
        |row: (String, String)| Some((RunId::parse(&row.0).ok()?, RunId::parse(&row.1).ok()?));
    Ok(rows.into_iter().filter_map(|row| pair((row.job_id, row.earlier))).collect())
}

/// Extends the leases of attempts that still have one, each up to its `latest_at`. A lease is never shortened.
/// Skips runs that another transaction has locked, so that the leases of the others do not wait for it.
pub async fn leases_extend(
    conn: &mut PgConnection,
    keys: &[LeaseKey<'_>],
    now: DateTime<Utc>,
) -> Result<Vec<LiveAttempt>, StoreError> {
    let Columns { job_ids, attempts, worker_ids } = Columns::of(keys);
    let extended = sqlx::query_as!(
        LiveAttempt,
        r#"
        update scraping_job r
        set lease_expires_at = greatest(
            r.lease_expires_at,
            least($4::timestamptz + r.lease_ms * interval '1 millisecond', r.lease_latest_at)
        )
        from (
            select r.job_id
            from unnest($1::text[], $2::int[], $3::text[]) as n (job_id, attempt, worker_id)
            join scraping_job r
                on r.job_id = n.job_id
                and r.attempt = n.attempt
                and r.worker_id = n.worker_id
            where r.status = 'running'
            order by r.job_id
            for update of r skip locked
        ) n
        where r.job_id = n.job_id
        returning
            r.job_id, r.attempt, r.worker_id as "worker_id!",
            r.cancel_requested_at is not null as "cancel_requested!",
            r.lease_expires_at as "expires_at!", r.lease_ms as "lease_ms!",
            r.lease_latest_at as "latest_at!"
        "#,
        &job_ids as _,
        &attempts,
        &worker_ids as _,
        now,
    )
    .fetch_all(conn)
    .await?;
    Ok(extended)
}

/// The attempts that still have a lease.
pub async fn leases_live(
    conn: &mut PgConnection,
    keys: &[LeaseKey<'_>],
) -> Result<Vec<LiveAttempt>, StoreError> {
    let Columns { job_ids, attempts, worker_ids } = Columns::of(keys);
    let live = sqlx::query_as!(
        LiveAttempt,
        r#"
        select
            r.job_id, r.attempt, r.worker_id as "worker_id!",
            r.cancel_requested_at is not null as "cancel_requested!",
            r.lease_expires_at as "expires_at!", r.lease_ms as "lease_ms!",
            r.lease_latest_at as "latest_at!"
        from unnest($1::text[], $2::int[], $3::text[]) as n (job_id, attempt, worker_id)
        join scraping_job r
            on r.job_id = n.job_id
            and r.attempt = n.attempt
            and r.worker_id = n.worker_id
        where r.status = 'running'
        "#,
        &job_ids as _,
        &attempts,
        &worker_ids as _,
    )
    .fetch_all(conn)
    .await?;
    Ok(live)
}

/// Keys as arrays for `unnest`.
struct Columns<'a> {
    job_ids: Vec<&'a str>,
    attempts: Vec<i32>,
    worker_ids: Vec<&'a str>,
}

impl<'a> Columns<'a> {
    fn of(keys: &[LeaseKey<'a>]) -> Self {
        Self {
            job_ids: keys.iter().map(|key| key.job_id).collect(),
            attempts: keys.iter().map(|key| key.attempt).collect(),
            worker_ids: keys.iter().map(|key| key.worker_id).collect(),
        }
    }
}
