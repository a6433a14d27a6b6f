//! Writes settings and schedules.

use sqlx::PgConnection;
use sqlx::types::Json;

use crate::domain::id::ScheduledJobId;
use crate::domain::scheduled_job::{ScheduleState, ScheduledJob};
use crate::store::StoreError;

/// Inserts the settings. Fails with [`StoreError::ScheduledJobExists`] if the id is or was in use.
pub async fn settings_insert(
    conn: &mut PgConnection,
    job: &ScheduledJob,
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        insert into scheduled_job (
            scheduled_job_id, name, cron_expression, timezone, parameters, priority, labels,
            version, created_at, policy, max_concurrent_runs, tick_policy, revision
        )
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
        "#,
        job.id.as_str(),
        job.settings.name,
        job.settings.schedule.cron_expression(),
        job.settings.schedule.timezone(),
        Json(&job.settings.parameters) as _,
        job.settings.priority.into_str(),
        Json(&job.settings.labels) as _,
        job.version,
        job.created_at,
        Json(&job.settings.policy) as _,
        job.settings.max_concurrent_runs,
        Json(&job.settings.ticks) as _,
        job.revision,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes the settings of a job whose schedule is locked.
pub async fn settings_write(conn: &mut PgConnection, job: &ScheduledJob) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        update scheduled_job
        set
            name = $2,
            cron_expression = $3,
            timezone = $4,
            parameters = $5,
            priority = $6,
            labels = $7,
            version = $8,
            policy = $9,
            max_concurrent_runs = $10,
            tick_policy = $11
        where scheduled_job_id = $1
        "#,
        job.id.as_str(),
        job.settings.name,
        job.settings.schedule.cron_expression(),
        job.settings.schedule.timezone(),
        Json(&job.settings.parameters) as _,
        job.settings.priority.into_str(),
        Json(&job.settings.labels) as _,
        job.version,
        Json(&job.settings.policy) as _,
        job.settings.max_concurrent_runs,
        Json(&job.settings.ticks) as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Inserts the schedule of a new job.
pub async fn schedule_insert(
    conn: &mut PgConnection,
    job: &ScheduledJob,
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        insert into scheduled_job_schedule (
            scheduled_job_id, status, pause_reason, updated_at, watermark, next_tick_at
        )
        values ($1, $2, $3, $4, $5, $6)
        "#,
        job.id.as_str(),
        job.gate.status.into_str(),
        job.gate.pause_reason,
        job.updated_at,
        job.gate.watermark,
        job.gate.next_tick_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Inserts the empty history of a new job.
pub async fn history_insert(
    conn: &mut PgConnection,
    id: &ScheduledJobId,
) -> Result<(), StoreError> {
    sqlx::query!("insert into scheduled_job_history (scheduled_job_id) values ($1)", id.as_str())
        .execute(conn)
        .await?;
    Ok(())
}

/// Writes the schedule states of jobs whose schedules are locked.
pub async fn schedules_write(
    conn: &mut PgConnection,
    jobs: &[ScheduledJob],
) -> Result<(), StoreError> {
    let gates: Vec<&ScheduleState> = jobs.iter().map(|job| &job.gate).collect();
    let ids: Vec<String> = jobs.iter().map(|job| job.id.to_string()).collect();
    let statuses: Vec<String> =
        gates.iter().map(|gate| gate.status.into_str().to_owned()).collect();
    let reasons: Vec<String> = gates.iter().map(|gate| gate.pause_reason.clone()).collect();
    let paused_until: Vec<_> = gates.iter().map(|gate| gate.paused_until).collect();
    let deleted_at: Vec<_> = gates.iter().map(|gate| gate.deleted_at).collect();
    let updated_at: Vec<_> = jobs.iter().map(|job| job.updated_at).collect();
    let watermarks: Vec<_> = gates.iter().map(|gate| gate.watermark).collect();
    let next_tick_at: Vec<_> = gates.iter().map(|gate| gate.next_tick_at).collect();
    sqlx::query!(
        r#"
        update scheduled_job_schedule s
        set
            status = n.status,
            pause_reason = n.pause_reason,
            paused_until = n.paused_until,
            deleted_at = n.deleted_at,
            updated_at = n.updated_at,
            watermark = n.watermark,
            next_tick_at = n.next_tick_at
        from unnest(
            $1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[],
            $6::timestamptz[], $7::timestamptz[], $8::timestamptz[]
        ) as n (
            scheduled_job_id, status, pause_reason, paused_until, deleted_at, updated_at,
            watermark, next_tick_at
        )
        where s.scheduled_job_id = n.scheduled_job_id
        "#,
        &ids,
        &statuses,
        &reasons,
        &paused_until as _,
        &deleted_at as _,
        &updated_at,
        &watermarks,
        &next_tick_at as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}
