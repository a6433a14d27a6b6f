//! The tick ledger, and what overlap has to know.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::StoreError;
use crate::domain::id::{RunId, ScheduledJobId};
use crate::domain::tick::{Decided, Decision};

/// A row for the ledger.
#[derive(Clone, Debug)]
pub struct LedgerRow {
    /// Whose tick.
    pub scheduled_job_id: ScheduledJobId,
    /// What was decided.
    pub decided: Decided,
    /// The run it made.
    pub job_id: Option<RunId>,
}

/// Enters decisions into the ledger.
pub async fn ticks_insert(
    conn: &mut PgConnection,
    rows: &[LedgerRow],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let ids: Vec<String> = rows.iter().map(|row| row.scheduled_job_id.to_string()).collect();
    let tick_at: Vec<_> = rows.iter().map(|row| row.decided.tick_at).collect();
    let until: Vec<_> = rows.iter().map(|row| row.decided.until).collect();
    let counts: Vec<i64> =
        rows.iter().map(|row| i64::try_from(row.decided.count).unwrap_or(i64::MAX)).collect();
    let decisions: Vec<String> =
        rows.iter().map(|row| row.decided.decision.word().to_owned()).collect();
    let reasons: Vec<String> = rows.iter().map(|row| row.decided.reason.clone()).collect();
    let job_ids: Vec<Option<String>> =
        rows.iter().map(|row| row.job_id.as_ref().map(ToString::to_string)).collect();
    sqlx::query!(
        r#"
        insert into tick (
            scheduled_job_id, tick_at, until, count, decision, reason, job_id, decided_at
        )
        select n.*, $8
        from unnest(
            $1::text[], $2::timestamptz[], $3::timestamptz[], $4::bigint[], $5::text[],
            $6::text[], $7::text[]
        ) as n
        "#,
        &ids,
        &tick_at,
        &until,
        &counts,
        &decisions,
        &reasons,
        &job_ids as _,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// For each of the jobs that has one, a tick's run that has not ended.
pub async fn ticks_unfinished(
    conn: &mut PgConnection,
    jobs: &[String],
) -> Result<Vec<(String, RunId)>, StoreError> {
    let rows = sqlx::query!(
        r#"
        select distinct on (scheduled_job_id) scheduled_job_id as "scheduled_job_id!", job_id
        from scraping_job
        where scheduled_job_id = any($1)
            and status in ('pending', 'running')
            and origin = 'scheduled'
        order by scheduled_job_id, created_at
        "#,
        jobs,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| match RunId::parse(&row.job_id) {
            Ok(id) => Ok((row.scheduled_job_id, id)),
            Err(error) => Err(StoreError::unreadable("scraping_job", &row.job_id, &error)),
        })
        .collect()
}

/// A row of the ledger as it is read.
#[derive(Clone, Debug, PartialEq)]
pub struct LedgerEntry {
    /// What was decided.
    pub decided: Decided,
    /// The run it made.
    pub job_id: Option<String>,
    /// When.
    pub decided_at: DateTime<Utc>,
}

/// The ledger of a job before a tick, newest first.
pub async fn ticks_list(
    conn: &mut PgConnection,
    job: &ScheduledJobId,
    before: Option<DateTime<Utc>>,
    limit: i64,
) -> Result<Vec<LedgerEntry>, StoreError> {
    let rows = sqlx::query!(
        r#"
        select tick_at, until, count, decision, reason, job_id, decided_at
        from tick
        where scheduled_job_id = $1
            and ($2::timestamptz is null or tick_at < $2)
        order by tick_at desc
        limit $3
        "#,
        job.as_str(),
        before,
        limit,
    )
    .fetch_all(conn)
    .await?;
    let unknown =
        |word: &str| StoreError::unreadable("tick", job.as_str(), &format!("decision is '{word}'"));
    rows.into_iter()
        .map(|row| {
            let decision =
                Decision::from_word(&row.decision).ok_or_else(|| unknown(&row.decision))?;
            let decided = Decided {
                tick_at: row.tick_at,
                until: row.until,
                count: u64::try_from(row.count).unwrap_or_default(),
                decision,
                reason: row.reason,
            };
            Ok(LedgerEntry { decided, job_id: row.job_id, decided_at: row.decided_at })
        })
        .collect()
}
