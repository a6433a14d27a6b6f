//! A scheduled job as a row. A value that was edited by hand may be unreadable: it is reported as a problem of
//! the job, so that only this job's ticks stop, and an update can repair it.

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::domain::id::{RunId, ScheduledJobId};
use crate::domain::schedule::Schedule;
use crate::domain::scheduled_job::{History, LastRun, ScheduleState, ScheduledJob, Settings};
use crate::domain::violation::Violation;
use crate::store::StoreError;

/// Settings, schedule and history of a job. JSON stays undecoded, because one invalid row would fail the whole
/// query.
#[derive(sqlx::FromRow)]
pub(in crate::store) struct JobRow {
    pub(in crate::store) scheduled_job_id: String,
    pub(in crate::store) name: String,
    pub(in crate::store) cron_expression: String,
    pub(in crate::store) timezone: String,
    pub(in crate::store) parameters: Value,
    pub(in crate::store) priority: String,
    pub(in crate::store) labels: Value,
    pub(in crate::store) policy: Value,
    pub(in crate::store) max_concurrent_runs: i32,
    pub(in crate::store) tick_policy: Value,
    pub(in crate::store) version: i64,
    pub(in crate::store) created_at: DateTime<Utc>,
    pub(in crate::store) revision: i64,
    pub(in crate::store) status: String,
    pub(in crate::store) pause_reason: String,
    pub(in crate::store) paused_until: Option<DateTime<Utc>>,
    pub(in crate::store) deleted_at: Option<DateTime<Utc>>,
    pub(in crate::store) updated_at: DateTime<Utc>,
    pub(in crate::store) watermark: DateTime<Utc>,
    pub(in crate::store) next_tick_at: Option<DateTime<Utc>>,
    pub(in crate::store) run_count: i64,
    pub(in crate::store) last_run_at: Option<DateTime<Utc>>,
    pub(in crate::store) last_run_status: Option<String>,
    pub(in crate::store) last_run_job_id: Option<String>,
}

impl TryFrom<JobRow> for ScheduledJob {
    type Error = StoreError;

    fn try_from(row: JobRow) -> Result<Self, StoreError> {
        let id = row.scheduled_job_id.clone();
        read(row).map_err(|reason| StoreError::unreadable("scheduled_job", &id, &reason))
    }
}

fn read(row: JobRow) -> Result<ScheduledJob, String> {
    let mut problems = Vec::new();
    let history = History { run_count: row.run_count, last: last_run(&row)? };
    let status = row.status.parse().map_err(|_| "unknown status")?;
    let settings = Settings {
        schedule: schedule(&mut problems, row.cron_expression, row.timezone),
        parameters: part(&mut problems, "parameters", row.parameters),
        labels: part(&mut problems, "labels", row.labels),
        policy: part(&mut problems, "policy", row.policy),
        ticks: part(&mut problems, "catch_up", row.tick_policy),
        name: row.name,
        priority: row.priority.parse().map_err(|_| "unknown priority")?,
        max_concurrent_runs: row.max_concurrent_runs,
    };
    Ok(ScheduledJob {
        id: ScheduledJobId::parse(&row.scheduled_job_id).map_err(|e| e.to_string())?,
        settings,
        version: row.version,
        created_at: row.created_at,
        updated_at: row.updated_at,
        gate: ScheduleState {
            status,
            pause_reason: row.pause_reason,
            paused_until: row.paused_until,
            deleted_at: row.deleted_at,
            watermark: row.watermark,
            // The next tick of an unreadable job is unknown.
            next_tick_at: row.next_tick_at.filter(|_| problems.is_empty()),
        },
        history,
        revision: row.revision,
        problems,
    })
}

/// Parses the schedule, or returns a placeholder and adds a problem.
fn schedule(problems: &mut Vec<Violation>, cron_expression: String, timezone: String) -> Schedule {
    match Schedule::parse(&cron_expression, &timezone) {
        Ok(schedule) => schedule,
        Err(error) => {
            problems.push(Violation::new(error.field(), error.to_string()));
            Schedule::unreadable(cron_expression, timezone)
        }
    }
}

/// Decodes a JSON column, or returns its default and adds a problem.
fn part<T: DeserializeOwned + Default>(
    problems: &mut Vec<Violation>,
    field: &str,
    json: Value,
) -> T {
    serde_json::from_value(json).unwrap_or_else(|error| {
        problems.push(Violation::new(field, error.to_string()));
        T::default()
    })
}

fn last_run(row: &JobRow) -> Result<Option<LastRun>, String> {
    let (Some(run_at), Some(status), Some(job_id)) =
        (row.last_run_at, &row.last_run_status, &row.last_run_job_id)
    else {
        return Ok(None);
    };
    let status = status.parse().map_err(|_| "unknown last_run_status")?;
    let job_id = RunId::parse(job_id).map_err(|e| e.to_string())?;
    Ok(Some(LastRun { run_at, status, job_id }))
}
