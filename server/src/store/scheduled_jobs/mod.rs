//! Scheduled jobs: settings, schedule and history, which are three rows.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::StoreError;
use super::parameters::ParametersRow;
use super::policy::PolicyRow;
use crate::domain::id::{RunId, ScheduledJobId};
use crate::domain::labels::Labels;
use crate::domain::parameters::ScrapeParameters;
use crate::domain::policy::RunPolicy;
use crate::domain::run::{Priority, Status as RunStatus};
use crate::domain::schedule::Schedule;
use crate::domain::scheduled_job::{Gate, History, LastRun, ScheduledJob, Settings, Status};

struct JobRow {
    scheduled_job_id: String,
    name: String,
    cron_expression: String,
    timezone: String,
    parameters: Json<ParametersRow>,
    priority: String,
    labels: Json<Labels>,
    policy: Json<PolicyRow>,
    max_concurrent_runs: i32,
    version: i64,
    created_at: DateTime<Utc>,
    status: String,
    pause_reason: String,
    paused_until: Option<DateTime<Utc>>,
    deleted_at: Option<DateTime<Utc>>,
    updated_at: DateTime<Utc>,
    watermark: DateTime<Utc>,
    next_tick_at: Option<DateTime<Utc>>,
    run_count: i64,
    last_run_at: Option<DateTime<Utc>>,
    last_run_status: Option<String>,
    last_run_job_id: Option<String>,
}

/// Selects whole scheduled jobs; the first argument is what follows the joined tables `j`, `s`, `h`.
macro_rules! select_jobs {
    ($tail:literal $(+ $more:literal)* $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            JobRow,
            r#"
            select
                j.scheduled_job_id, j.name, j.cron_expression, j.timezone,
                j.parameters as "parameters: Json<ParametersRow>", j.priority,
                j.labels as "labels: Json<Labels>", j.policy as "policy: Json<PolicyRow>",
                j.max_concurrent_runs, j.version, j.created_at, s.status, s.pause_reason,
                s.paused_until, s.deleted_at, s.updated_at, s.watermark, s.next_tick_at, h.run_count, h.last_run_at,
                h.last_run_status, h.last_run_job_id
            from scheduled_job j
            join scheduled_job_schedule s using (scheduled_job_id)
            join scheduled_job_history h using (scheduled_job_id)
            "# + $tail $(+ $more)*
            $(, $argument)*
        )
    };
}

// After the macro, which it uses.
mod list;

pub use self::list::{JobFilter, scheduled_jobs_count, scheduled_jobs_list};

/// One scheduled job.
pub async fn scheduled_job_get(
    conn: &mut PgConnection,
    id: &ScheduledJobId,
) -> Result<Option<ScheduledJob>, StoreError> {
    let row =
        select_jobs!("where j.scheduled_job_id = $1", id.as_str()).fetch_optional(conn).await?;
    row.map(ScheduledJob::try_from).transpose()
}

/// Locks one schedule and returns the whole job.
pub async fn scheduled_job_lock(
    conn: &mut PgConnection,
    id: &ScheduledJobId,
) -> Result<Option<ScheduledJob>, StoreError> {
    let row = select_jobs!("where j.scheduled_job_id = $1 for no key update of s", id.as_str())
        .fetch_optional(conn)
        .await?;
    row.map(ScheduledJob::try_from).transpose()
}

/// Locks the schedules that are due, the longest waiting first, passing over locked ones. A job that
/// cannot be read is an error of its own.
pub async fn scheduled_jobs_lock_due(
    conn: &mut PgConnection,
    except: &[String],
    limit: i64,
    now: DateTime<Utc>,
) -> Result<Vec<(String, Result<ScheduledJob, StoreError>)>, StoreError> {
    let rows = select_jobs!(
        r#"
        where s.due_at <= $1
            and j.scheduled_job_id <> all($2)
        order by s.due_at, j.scheduled_job_id
        limit $3
        for no key update of s skip locked
        "#,
        now,
        except,
        limit,
    )
    .fetch_all(conn)
    .await?;
    let named = |row: JobRow| (row.scheduled_job_id.clone(), ScheduledJob::try_from(row));
    Ok(rows.into_iter().map(named).collect())
}

/// Locks a job's settings against new runs of it, which hold on to them until they are committed.
pub async fn settings_lock(conn: &mut PgConnection, id: &ScheduledJobId) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        select scheduled_job_id
        from scheduled_job
        where scheduled_job_id = $1
        for update
        "#,
        id.as_str(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(())
}

/// When the next schedule is due, of those not in `except`.
pub async fn scheduled_jobs_next_due(
    conn: &mut PgConnection,
    except: &[String],
) -> Result<Option<DateTime<Utc>>, StoreError> {
    let due = sqlx::query_scalar!(
        "select min(due_at) from scheduled_job_schedule where scheduled_job_id <> all($1)",
        except,
    )
    .fetch_one(conn)
    .await?;
    Ok(due)
}

/// Inserts the settings. [`StoreError::ScheduledJobExists`] when the id is or was in use.
pub async fn settings_insert(
    conn: &mut PgConnection,
    job: &ScheduledJob,
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        insert into scheduled_job (
            scheduled_job_id, name, cron_expression, timezone, parameters, priority, labels,
            version, created_at, policy, max_concurrent_runs
        )
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        "#,
        job.id.as_str(),
        job.settings.name,
        job.settings.schedule.cron_expression(),
        job.settings.schedule.timezone(),
        Json(ParametersRow::from(&job.settings.parameters)) as _,
        job.settings.priority.word(),
        Json(&job.settings.labels) as _,
        job.version,
        job.created_at,
        Json(PolicyRow::from(&job.settings.policy)) as _,
        job.settings.max_concurrent_runs,
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
            max_concurrent_runs = $10
        where scheduled_job_id = $1
        "#,
        job.id.as_str(),
        job.settings.name,
        job.settings.schedule.cron_expression(),
        job.settings.schedule.timezone(),
        Json(ParametersRow::from(&job.settings.parameters)) as _,
        job.settings.priority.word(),
        Json(&job.settings.labels) as _,
        job.version,
        Json(PolicyRow::from(&job.settings.policy)) as _,
        job.settings.max_concurrent_runs,
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
        job.gate.status.word(),
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

/// Writes the gates of jobs whose schedules are locked.
pub async fn schedules_write(
    conn: &mut PgConnection,
    jobs: &[ScheduledJob],
) -> Result<(), StoreError> {
    let gates: Vec<&Gate> = jobs.iter().map(|job| &job.gate).collect();
    let ids: Vec<String> = jobs.iter().map(|job| job.id.to_string()).collect();
    let statuses: Vec<String> = gates.iter().map(|gate| gate.status.word().to_owned()).collect();
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

impl TryFrom<JobRow> for ScheduledJob {
    type Error = StoreError;

    fn try_from(row: JobRow) -> Result<Self, StoreError> {
        let id = row.scheduled_job_id.clone();
        ScheduledJob::read(row)
            .map_err(|reason| StoreError::unreadable("scheduled_job", &id, &reason))
    }
}

impl ScheduledJob {
    fn read(row: JobRow) -> Result<Self, String> {
        let history = History { run_count: row.run_count, last: last_run(&row)? };
        let status = Status::from_word(&row.status);
        Ok(Self {
            id: ScheduledJobId::parse(&row.scheduled_job_id).map_err(|e| e.to_string())?,
            settings: Settings {
                name: row.name,
                schedule: Schedule::parse(&row.cron_expression, &row.timezone)
                    .map_err(|e| format!("{}: {e}", e.field()))?,
                parameters: ScrapeParameters::try_from(row.parameters.0)?,
                priority: Priority::from_word(&row.priority).ok_or("unknown priority")?,
                labels: row.labels.0,
                policy: RunPolicy::try_from(row.policy.0)?,
                max_concurrent_runs: row.max_concurrent_runs,
            },
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
            gate: Gate {
                status: status.ok_or("unknown status")?,
                pause_reason: row.pause_reason,
                paused_until: row.paused_until,
                deleted_at: row.deleted_at,
                watermark: row.watermark,
                next_tick_at: row.next_tick_at,
            },
            history,
        })
    }
}

fn last_run(row: &JobRow) -> Result<Option<LastRun>, String> {
    let (Some(run_at), Some(status), Some(job_id)) =
        (row.last_run_at, &row.last_run_status, &row.last_run_job_id)
    else {
        return Ok(None);
    };
    let status = RunStatus::from_word(status).ok_or("unknown last_run_status")?;
    let job_id = RunId::parse(job_id).map_err(|e| e.to_string())?;
    Ok(Some(LastRun { run_at, status, job_id }))
}
