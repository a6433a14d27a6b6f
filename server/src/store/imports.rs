//! Queries of an import, which writes many scheduled jobs with their histories at once.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use sqlx::types::Json;

use super::StoreError;
use crate::domain::id::{RunId, ScheduledJobId};
use crate::domain::labels::Labels;
use crate::domain::parameters::ScrapeParameters;
use crate::domain::policy::RunPolicy;
use crate::domain::scheduled_job::ScheduledJob;
use crate::domain::tick_policy::TickPolicy;

/// A job with its schedule and history: the columns of all three tables, whose names differ.
#[derive(Serialize)]
struct ImportRow<'a> {
    scheduled_job_id: String,
    name: String,
    cron_expression: String,
    timezone: String,
    parameters: &'a ScrapeParameters,
    priority: &'static str,
    labels: Labels,
    policy: &'a RunPolicy,
    max_concurrent_runs: i32,
    tick_policy: &'a TickPolicy,
    version: i64,
    created_at: DateTime<Utc>,
    status: &'static str,
    pause_reason: String,
    updated_at: DateTime<Utc>,
    watermark: DateTime<Utc>,
    next_tick_at: Option<DateTime<Utc>>,
    revision: i64,
    run_count: i64,
    runs_without_row: i64,
    last_run_at: Option<DateTime<Utc>>,
    last_run_status: Option<&'static str>,
    last_run_job_id: Option<String>,
    last_ended_at: Option<DateTime<Utc>>,
}

/// The ids that are in use.
pub async fn scheduled_jobs_existing(
    conn: &mut PgConnection,
    ids: &BTreeSet<ScheduledJobId>,
) -> Result<BTreeSet<ScheduledJobId>, StoreError> {
    let ids: Vec<&str> = ids.iter().map(ScheduledJobId::as_str).collect();
    let found = sqlx::query_scalar!(
        "select scheduled_job_id from scheduled_job where scheduled_job_id = any($1)",
        &ids as _,
    )
    .fetch_all(conn)
    .await?;
    Ok(found.iter().filter_map(|id| ScheduledJobId::parse(id).ok()).collect())
}

/// The ids that are in use.
pub async fn runs_existing(
    conn: &mut PgConnection,
    ids: &BTreeSet<RunId>,
) -> Result<BTreeSet<RunId>, StoreError> {
    let ids: Vec<&str> = ids.iter().map(RunId::as_str).collect();
    let found =
        sqlx::query_scalar!("select job_id from scraping_job where job_id = any($1)", &ids as _,)
            .fetch_all(conn)
            .await?;
    Ok(found.iter().filter_map(|id| RunId::parse(id).ok()).collect())
}

/// The ticks that have a run.
pub async fn ticks_with_run(
    conn: &mut PgConnection,
    ticks: &[(ScheduledJobId, DateTime<Utc>)],
) -> Result<BTreeSet<(String, DateTime<Utc>)>, StoreError> {
    let ids: Vec<&str> = ticks.iter().map(|(id, _)| id.as_str()).collect();
    let times: Vec<DateTime<Utc>> = ticks.iter().map(|(_, tick)| *tick).collect();
    let found = sqlx::query!(
        r#"
        select r.scheduled_job_id as "scheduled_job_id!", r.tick_at as "tick_at!"
        from unnest($1::text[], $2::timestamptz[]) as n (scheduled_job_id, tick_at)
        join scraping_job r using (scheduled_job_id, tick_at)
        where r.origin = 'scheduled'
        "#,
        &ids as _,
        &times,
    )
    .fetch_all(conn)
    .await?;
    Ok(found.into_iter().map(|row| (row.scheduled_job_id, row.tick_at)).collect())
}

/// Inserts new jobs, each with the end of its last run.
pub async fn scheduled_jobs_import(
    conn: &mut PgConnection,
    jobs: &[(&ScheduledJob, Option<DateTime<Utc>>)],
) -> Result<(), StoreError> {
    let rows: Vec<ImportRow<'_>> =
        jobs.iter().map(|(job, ended)| import_row(job, *ended)).collect();
    sqlx::query!(
        r#"
        insert into scheduled_job (
            scheduled_job_id, name, cron_expression, timezone, parameters, priority, labels,
            policy, max_concurrent_runs, tick_policy, version, created_at, revision
        )
        select
            scheduled_job_id, name, cron_expression, timezone, parameters, priority, labels,
            policy, max_concurrent_runs, tick_policy, version, created_at, revision
        from jsonb_populate_recordset(null::scheduled_job, $1)
        "#,
        Json(&rows) as _,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        r#"
        insert into scheduled_job_schedule (
            scheduled_job_id, status, pause_reason, updated_at, watermark, next_tick_at
        )
        select
            scheduled_job_id, status, pause_reason, updated_at, watermark, next_tick_at
        from jsonb_populate_recordset(null::scheduled_job_schedule, $1)
        "#,
        Json(&rows) as _,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        r#"
        insert into scheduled_job_history (
            scheduled_job_id, run_count, runs_without_row, last_run_at, last_run_status,
            last_run_job_id, last_ended_at
        )
        select
            scheduled_job_id, run_count, runs_without_row, last_run_at, last_run_status,
            last_run_job_id, last_ended_at
        from jsonb_populate_recordset(null::scheduled_job_history, $1)
        "#,
        Json(&rows) as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Counts inserted runs, by scheduled job, as rows of their history. Locks in the order of the ids, as the end of a run.
pub async fn history_add_rows(
    conn: &mut PgConnection,
    rows: &BTreeMap<ScheduledJobId, i64>,
) -> Result<(), StoreError> {
    let ids: Vec<&str> = rows.keys().map(ScheduledJobId::as_str).collect();
    let counts: Vec<i64> = rows.values().copied().collect();
    sqlx::query!(
        r#"
        with locked as (
            select scheduled_job_id
            from scheduled_job_history
            where scheduled_job_id = any($1)
            order by scheduled_job_id
            for no key update
        )
        update scheduled_job_history h
        set runs_without_row = h.runs_without_row - n.count
        from unnest($1::text[], $2::bigint[]) as n (scheduled_job_id, count)
        join locked using (scheduled_job_id)
        where h.scheduled_job_id = n.scheduled_job_id
        "#,
        &ids as _,
        &counts,
    )
    .execute(conn)
    .await?;
    Ok(())
}

fn import_row(job: &ScheduledJob, last_ended_at: Option<DateTime<Utc>>) -> ImportRow<'_> {
    let last = job.history.last.as_ref();
    ImportRow {
        scheduled_job_id: job.id.to_string(),
        name: job.settings.name.clone(),
        cron_expression: job.settings.schedule.cron_expression().to_owned(),
        timezone: job.settings.schedule.timezone().to_owned(),
        parameters: &job.settings.parameters,
        priority: job.settings.priority.into_str(),
        labels: job.settings.labels.clone(),
        policy: &job.settings.policy,
        max_concurrent_runs: job.settings.max_concurrent_runs,
        tick_policy: &job.settings.ticks,
        version: job.version,
        created_at: job.created_at,
        status: job.gate.status.into_str(),
        pause_reason: job.gate.pause_reason.clone(),
        updated_at: job.updated_at,
        watermark: job.gate.watermark,
        next_tick_at: job.gate.next_tick_at,
        revision: job.revision,
        run_count: job.history.run_count,
        runs_without_row: job.history.run_count,
        last_run_at: last.map(|last| last.run_at),
        last_run_status: last.map(|last| last.status.into_str()),
        last_run_job_id: last.map(|last| last.job_id.to_string()),
        last_ended_at,
    }
}
