//! Pending runs that could start now: the candidates for leases. The cost of a look does not depend on the backlog.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::StoreError;
use crate::domain::fairness::Candidate;
use crate::domain::id::RunId;

/// A candidate, and the concurrency limit of its scheduled job; 0 is no limit.
#[derive(Clone, Debug)]
pub struct Ready {
    pub candidate: Candidate,
    pub job_limit: i64,
}

/// Selects from the pending runs `r` of the source `s.source` that could start now, regardless of limits: runs that
/// do not wait for the run of an earlier tick. `$1` is now. One source at a time, because only the index of one
/// source has its runs in order.
macro_rules! select_ready {
    ($row:ident, $select:literal, $tail:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            $row,
            $select
                + r#"
                from unfinished_run r
                where r.available_at <= $1
                    and r.source = s.source
                    and not (
                        r.queued
                        and exists (
                            select
                            from unfinished_run e
                            where e.queue = r.queue
                                and e.origin = 'scheduled'
                                and e.tick_at < r.tick_at
                        )
                    )
                "#
                + $tail
            $(, $argument)*
        )
    };
}

/// Key of the advisory lock of [`ready_lock`]: "windrow" in ASCII.
const LEASING: i64 = 0x0077_696e_6472_6f77;

struct LockRow {
    #[expect(dead_code, reason = "a row has a column")]
    lock: String,
}

/// Whether a pending run could start now, regardless of limits. If so, waits until no other transaction leases runs,
/// and blocks others until this one ends, so that counts of running runs stay correct.
pub async fn ready_lock(
    conn: &mut PgConnection,
    sources: &BTreeSet<String>,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
    let found = select_ready!(
        LockRow,
        r#"
        select pg_advisory_xact_lock($3)::text as "lock!"
        from unnest($2::text[]) s (source)
        -- Not `exists`: the planner turns it into a join that reads all pending runs.
        cross join lateral (
            select
        "#,
        "and r.status = 'pending' order by r.rank_at limit 1) f limit 1",
        now,
        &sources as _,
        LEASING,
    )
    .fetch_optional(conn)
    .await?;
    Ok(found.is_some())
}

/// A row of a query for ready runs.
struct ReadyRow {
    job_id: String,
    queue: String,
    source: String,
    rank_at: DateTime<Utc>,
    created_at: DateTime<Utc>,
    last_turn_at: Option<DateTime<Utc>>,
    job_limit: i64,
}

impl ReadyRow {
    fn read(self) -> Option<Ready> {
        let candidate = Candidate {
            run: RunId::parse(&self.job_id).ok()?,
            queue: self.queue,
            source: self.source,
            rank_at: self.rank_at,
            boost: self.created_at - self.rank_at,
            last_turn_at: self.last_turn_at,
        };
        Some(Ready { candidate, job_limit: self.job_limit })
    }
}

/// The first pending runs by rank that could start now, except those of some queues.
pub async fn ready_runs(
    conn: &mut PgConnection,
    sources: &BTreeSet<String>,
    except_queues: &BTreeSet<String>,
    limit: i64,
    now: DateTime<Utc>,
) -> Result<Vec<Ready>, StoreError> {
    let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
    let except: Vec<&str> = except_queues.iter().map(String::as_str).collect();
    let rows = select_ready!(
        ReadyRow,
        r#"
        select
            f.job_id,
            f.queue,
            f.source,
            f.rank_at,
            f.created_at,
            t.had_at as "last_turn_at?",
            coalesce(j.max_concurrent_runs, 0)::bigint as "job_limit!"
        from unnest($2::text[]) s (source)
        cross join lateral (
            select r.job_id, r.queue, r.source, r.rank_at, r.created_at
        "#,
        r#"
                and r.status = 'pending'
                and r.queue <> all($3)
            order by r.rank_at
            limit $4
        ) f
        left join scheduled_job j on j.scheduled_job_id = f.queue
        left join turn t on t.queue = f.queue
        order by f.rank_at, f.job_id
        limit $4
        "#,
        now,
        &sources as _,
        &except as _,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().filter_map(ReadyRow::read).collect())
}

/// The next `limit` scheduled jobs after `after` that have unfinished runs, except some. Jumps from job to job, so
/// that their backlogs do not matter.
pub async fn unfinished_jobs(
    conn: &mut PgConnection,
    except: &BTreeSet<String>,
    after: &str,
    limit: i64,
) -> Result<Vec<String>, StoreError> {
    let except: Vec<&str> = except.iter().map(String::as_str).collect();
    let jobs = sqlx::query_scalar!(
        r#"
        with recursive job (queue) as (
            select (select queue from unfinished_run where queue > $2 order by queue limit 1)
            union all
            select (select r.queue from unfinished_run r where r.queue > job.queue order by r.queue limit 1)
            from job
            where job.queue is not null
        )
        select queue as "job!"
        from job
        where queue <> all($1)
        limit $3
        "#,
        &except as _,
        after,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(jobs)
}

/// The first run of each of these jobs that could start now.
pub async fn ready_firsts(
    conn: &mut PgConnection,
    sources: &BTreeSet<String>,
    jobs: &[String],
    now: DateTime<Utc>,
) -> Result<Vec<Ready>, StoreError> {
    let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
    let rows = select_ready!(
        ReadyRow,
        r#"
        select
            f.job_id,
            f.queue,
            f.source,
            f.rank_at,
            f.created_at,
            t.had_at as "last_turn_at?",
            j.max_concurrent_runs::bigint as "job_limit!"
        from unnest($3::text[]) q (queue)
        cross join unnest($2::text[]) s (source)
        cross join lateral (
            select r.job_id, r.queue, r.source, r.rank_at, r.created_at
        "#,
        r#"
                -- Not the index of pending runs, which has the jobs mixed.
                and r.status <> 'running'
                and r.queue = q.queue
            order by r.rank_at
            limit 1
        ) f
        join scheduled_job j on j.scheduled_job_id = f.queue
        left join turn t on t.queue = f.queue
        "#,
        now,
        &sources as _,
        jobs,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().filter_map(ReadyRow::read).collect())
}

/// The first one-off runs by rank that could start now.
pub async fn ready_one_off(
    conn: &mut PgConnection,
    sources: &BTreeSet<String>,
    limit: i64,
    now: DateTime<Utc>,
) -> Result<Vec<Ready>, StoreError> {
    let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
    let rows = select_ready!(
        ReadyRow,
        r#"
        select
            f.job_id,
            f.queue,
            f.source,
            f.rank_at,
            f.created_at,
            t.had_at as "last_turn_at?",
            0::bigint as "job_limit!"
        from unnest($2::text[]) s (source)
        cross join lateral (
            select r.job_id, r.queue, r.source, r.rank_at, r.created_at
        "#,
        r#"
                and r.status <> 'running'
                and r.queue = ''
            order by r.rank_at
            limit $3
        ) f
        left join turn t on t.queue = f.queue
        "#,
        now,
        &sources as _,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().filter_map(ReadyRow::read).collect())
}
