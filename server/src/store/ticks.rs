//! The tick ledger, and the unfinished runs that overlap policies need.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{Budget, StoreError};
use crate::domain::id::{RunId, ScheduledJobId};
use crate::domain::ledger::LedgerEntry;
use crate::domain::tick::TickOutcome;

/// A new entry of the ledger.
#[derive(Clone, Debug)]
pub struct LedgerRow {
    pub scheduled_job_id: ScheduledJobId,
    pub decided: TickOutcome,
    /// The run that the tick created.
    pub job_id: Option<RunId>,
    /// Revision of the job's settings that applied.
    pub revision: i64,
}

/// Records decisions of a server in the ledger.
pub async fn ticks_insert(
    conn: &mut PgConnection,
    rows: &[LedgerRow],
    server: &str,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let ids: Vec<&str> = rows.iter().map(|row| row.scheduled_job_id.as_str()).collect();
    let tick_at: Vec<_> = rows.iter().map(|row| row.decided.tick_at).collect();
    let until: Vec<_> = rows.iter().map(|row| row.decided.until).collect();
    let counts: Vec<i64> =
        rows.iter().map(|row| i64::try_from(row.decided.count).unwrap_or(i64::MAX)).collect();
    let decisions: Vec<&str> = rows.iter().map(|row| row.decided.decision.into_str()).collect();
    let reasons: Vec<&str> = rows.iter().map(|row| row.decided.reason.as_str()).collect();
    let job_ids: Vec<Option<&str>> =
        rows.iter().map(|row| row.job_id.as_ref().map(RunId::as_str)).collect();
    let starts_at: Vec<_> = rows.iter().map(|row| row.decided.starts_at).collect();
    let blocking: Vec<Option<&str>> =
        rows.iter().map(|row| row.decided.blocking.as_ref().map(RunId::as_str)).collect();
    let revisions: Vec<i64> = rows.iter().map(|row| row.revision).collect();
    sqlx::query!(
        r#"
        insert into tick (
            scheduled_job_id, tick_at, until, count, decision, reason, job_id, starts_at,
            blocking_job_id, revision, server, decided_at
        )
        select
            n.scheduled_job_id, n.tick_at, n.until, n.count, n.decision, n.reason, n.job_id,
            n.starts_at, n.blocking_job_id, n.revision, $11, $12
        from unnest(
            $1::text[], $2::timestamptz[], $3::timestamptz[], $4::bigint[], $5::text[],
            $6::text[], $7::text[], $8::timestamptz[], $9::text[], $10::bigint[]
        ) as n (
            scheduled_job_id, tick_at, until, count, decision, reason, job_id, starts_at,
            blocking_job_id, revision
        )
        "#,
        &ids as _,
        &tick_at,
        &until,
        &counts,
        &decisions as _,
        &reasons as _,
        &job_ids as _,
        &starts_at as _,
        &blocking as _,
        &revisions,
        server,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Unfinished runs that ticks of the jobs created, oldest first.
pub async fn ticks_unfinished(
    conn: &mut PgConnection,
    jobs: &[String],
) -> Result<Vec<(String, RunId)>, StoreError> {
    let rows = sqlx::query!(
        r#"
        select queue, job_id
        from unfinished_run
        where queue = any($1)
            and origin = 'scheduled'
        order by tick_at
        "#,
        jobs,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| match RunId::parse(&row.job_id) {
            Ok(id) => Ok((row.queue, id)),
            Err(error) => Err(StoreError::unreadable("unfinished_run", &row.job_id, &error)),
        })
        .collect()
}

/// The ticks of a job after an instant that have fired, in order of time.
pub async fn ticks_fired_after(
    conn: &mut PgConnection,
    job: &ScheduledJobId,
    after: DateTime<Utc>,
) -> Result<Vec<DateTime<Utc>>, StoreError> {
    let ticks = sqlx::query_scalar!(
        r#"
        select tick_at
        from tick
        where scheduled_job_id = $1
            and tick_at > $2
            and decision = 'fired'
        order by tick_at
        "#,
        job.as_str(),
        after,
    )
    .fetch_all(conn)
    .await?;
    Ok(ticks)
}

/// Deletes the entries of a job whose ticks are all after an instant, except fired ones.
pub async fn ticks_revoke(
    conn: &mut PgConnection,
    job: &ScheduledJobId,
    after: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        delete from tick
        where scheduled_job_id = $1
            and tick_at > $2
            and decision <> 'fired'
        "#,
        job.as_str(),
        after,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends a range of ticks at an earlier one.
pub async fn tick_shorten(
    conn: &mut PgConnection,
    job: &ScheduledJobId,
    range: &TickOutcome,
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        update tick
        set until = $3, count = $4
        where scheduled_job_id = $1
            and tick_at = $2
        "#,
        job.as_str(),
        range.tick_at,
        range.until,
        i64::try_from(range.count).unwrap_or(i64::MAX),
    )
    .execute(conn)
    .await?;
    Ok(())
}

struct EntryRow {
    tick_at: DateTime<Utc>,
    until: DateTime<Utc>,
    count: i64,
    decision: String,
    reason: String,
    job_id: Option<String>,
    starts_at: Option<DateTime<Utc>>,
    blocking_job_id: Option<String>,
    decided_at: DateTime<Utc>,
    server: String,
    revision: i64,
    backfill_job_id: Option<String>,
}

/// Selects entries of the ledger; the first argument follows the joined tables `t`, `b`.
macro_rules! select_entries {
    ($tail:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            EntryRow,
            r#"
            select
                t.tick_at, t.until, t.count, t.decision, t.reason, t.job_id, t.starts_at,
                t.blocking_job_id, t.decided_at, t.server, t.revision,
                b.job_id as "backfill_job_id?"
            from tick t
            left join backfill b
                on b.scheduled_job_id = t.scheduled_job_id
                and b.tick_at = t.tick_at
                and t.until = t.tick_at
            "# + $tail
            $(, $argument)*
        )
    };
}

/// Entries of a job before a tick, newest first, up to a budget.
pub async fn ticks_list(
    conn: &mut PgConnection,
    job: &ScheduledJobId,
    before: Option<DateTime<Utc>>,
    limit: i64,
    budget: &mut Budget,
) -> Result<Vec<LedgerEntry>, StoreError> {
    let rows = select_entries!(
        r#"
        where t.scheduled_job_id = $1
            and ($2::timestamptz is null or t.tick_at < $2)
        order by t.tick_at desc
        limit $3
        "#,
        job.as_str(),
        before,
        limit,
    )
    .fetch(conn);
    budget.collect(rows, |row| entry(job, row)).await
}

/// The entry whose tick or range contains an instant.
pub async fn tick_covering(
    conn: &mut PgConnection,
    job: &ScheduledJobId,
    instant: DateTime<Utc>,
) -> Result<Option<LedgerEntry>, StoreError> {
    let row = select_entries!(
        r#"
        where t.scheduled_job_id = $1
            and t.tick_at <= $2
        order by t.tick_at desc
        limit 1
        "#,
        job.as_str(),
        instant,
    )
    .fetch_optional(conn)
    .await?;
    let covering = row.filter(|row| instant <= row.until);
    covering.map(|row| entry(job, row)).transpose()
}

/// Deletes at most `limit` entries whose last tick is before a time; returns their number. The watermark keeps
/// their ticks decided.
pub async fn ticks_prune(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<u64, StoreError> {
    let pruned = sqlx::query!(
        r#"
        delete from tick
        where (scheduled_job_id, tick_at) in (
            select scheduled_job_id, tick_at from tick where until < $1 limit $2
        )
        "#,
        before,
        limit,
    )
    .execute(conn)
    .await?;
    Ok(pruned.rows_affected())
}

fn entry(job: &ScheduledJobId, row: EntryRow) -> Result<LedgerEntry, StoreError> {
    let unreadable = |reason: String| StoreError::unreadable("tick", job.as_str(), &reason);
    let decision =
        row.decision.parse().map_err(|_| unreadable(format!("decision is '{}'", row.decision)))?;
    let blocking = row.blocking_job_id.as_deref().map(RunId::parse).transpose();
    let decided = TickOutcome {
        tick_at: row.tick_at,
        until: row.until,
        count: u64::try_from(row.count).unwrap_or_default(),
        decision,
        reason: row.reason,
        blocking: blocking.map_err(|error| unreadable(error.to_string()))?,
        starts_at: row.starts_at,
    };
    Ok(LedgerEntry {
        decided,
        job_id: row.job_id,
        decided_at: row.decided_at,
        server: row.server,
        revision: row.revision,
        backfill_job_id: row.backfill_job_id,
    })
}
