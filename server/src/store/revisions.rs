//! Revisions of scheduled jobs. Written after the settings and the schedule, from which they are copied.
//! Each change of either makes one.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::StoreError;
use super::scheduled_jobs::JobRow;
use crate::domain::id::ScheduledJobId;
use crate::domain::revision::{Change, Revision};
use crate::domain::scheduled_job::ScheduledJob;

/// A change of settings or status.
#[derive(Clone, Debug)]
pub struct NewRevision {
    /// The changed job.
    pub scheduled_job_id: ScheduledJobId,
    pub number: i64,
    /// The revision applies to ticks after this instant.
    pub valid_from: DateTime<Utc>,
    pub change: Change,
    /// The caller; empty when a pause ended by itself.
    pub changed_by: String,
}

/// Records the current settings and status. Waits for transactions that insert runs of the jobs, and makes later
/// ones read the jobs again.
pub async fn revisions_insert(
    conn: &mut PgConnection,
    new: &[NewRevision],
) -> Result<(), StoreError> {
    let ids: Vec<&str> = new.iter().map(|new| new.scheduled_job_id.as_str()).collect();
    let numbers: Vec<i64> = new.iter().map(|new| new.number).collect();
    let valid_from: Vec<_> = new.iter().map(|new| new.valid_from).collect();
    let changes: Vec<&str> = new.iter().map(|new| new.change.into_str()).collect();
    let changed_by: Vec<&str> = new.iter().map(|new| new.changed_by.as_str()).collect();
    sqlx::query!(
        r#"
        with n as (
            select *
            from unnest($1::text[], $2::bigint[], $3::timestamptz[], $4::text[], $5::text[])
                as n (scheduled_job_id, number, valid_from, change, changed_by)
        ),
        numbered as (
            update scheduled_job j
            set revision = n.number
            from n
            where j.scheduled_job_id = n.scheduled_job_id
        )
        insert into scheduled_job_revision (
            scheduled_job_id, number, valid_from, change, changed_by, name, cron_expression, timezone,
            parameters, priority, labels, policy, max_concurrent_runs, tick_policy, version, status,
            pause_reason, paused_until, deleted_at
        )
        select
            j.scheduled_job_id, n.number, n.valid_from, n.change, n.changed_by, j.name,
            j.cron_expression, j.timezone, j.parameters, j.priority, j.labels, j.policy,
            j.max_concurrent_runs, j.tick_policy, j.version, s.status, s.pause_reason, s.paused_until,
            s.deleted_at
        from n
        join scheduled_job j using (scheduled_job_id)
        join scheduled_job_schedule s using (scheduled_job_id)
        "#,
        &ids as _,
        &numbers,
        &valid_from,
        &changes as _,
        &changed_by as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Selects a revision of a job.
#[derive(Clone, Copy, Debug)]
pub enum Which {
    Number(i64),
    /// The revision that applies to a tick at this instant.
    At(DateTime<Utc>),
}

/// A revision, unless it was pruned.
pub async fn revision_get(
    conn: &mut PgConnection,
    id: &ScheduledJobId,
    which: Which,
) -> Result<Option<Revision>, StoreError> {
    let (number, at) = match which {
        Which::Number(number) => (Some(number), None),
        Which::At(at) => (None, Some(at)),
    };
    let row = sqlx::query!(
        r#"
        select
            r.scheduled_job_id, r.number, r.valid_from, r.change, r.changed_by, r.name,
            r.cron_expression, r.timezone, r.parameters, r.priority, r.labels, r.policy,
            r.max_concurrent_runs, r.tick_policy, r.version, r.status, r.pause_reason, r.paused_until,
            r.deleted_at, j.created_at
        from scheduled_job_revision r
        join scheduled_job j using (scheduled_job_id)
        where r.scheduled_job_id = $1
            and ($2::bigint is null or r.number = $2)
            and ($3::timestamptz is null or r.valid_from < $3)
        order by r.number desc
        limit 1
        "#,
        id.as_str(),
        number,
        at,
    )
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let unknown =
        || StoreError::unreadable("scheduled_job_revision", id.as_str(), &"unknown change");
    let change = row.change.parse().map_err(|_| unknown())?;
    let job = ScheduledJob::try_from(JobRow {
        scheduled_job_id: row.scheduled_job_id,
        name: row.name,
        cron_expression: row.cron_expression,
        timezone: row.timezone,
        parameters: row.parameters,
        priority: row.priority,
        labels: row.labels,
        policy: row.policy,
        max_concurrent_runs: row.max_concurrent_runs,
        tick_policy: row.tick_policy,
        version: row.version,
        created_at: row.created_at,
        revision: row.number,
        status: row.status,
        pause_reason: row.pause_reason,
        paused_until: row.paused_until,
        deleted_at: row.deleted_at,
        updated_at: row.valid_from,
        watermark: row.valid_from,
        next_tick_at: None,
        run_count: 0,
        last_run_at: None,
        last_run_status: None,
        last_run_job_id: None,
    })?;
    Ok(Some(Revision { valid_from: row.valid_from, changed_by: row.changed_by, change, job }))
}

/// Deletes at most `limit` revisions that apply only to ticks before a time; returns their number. The current
/// revision of a job stays.
pub async fn revisions_prune(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<u64, StoreError> {
    let pruned = sqlx::query!(
        r#"
        delete from scheduled_job_revision
        where (scheduled_job_id, number) in (
            select r.scheduled_job_id, r.number
            from scheduled_job_revision n
            join scheduled_job_revision r
                on r.scheduled_job_id = n.scheduled_job_id
                and r.number = n.number - 1
            where n.valid_from < $1
            limit $2
        )
        "#,
        before,
        limit,
    )
    .execute(conn)
    .await?;
    Ok(pruned.rows_affected())
}
