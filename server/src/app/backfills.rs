//! Backfills: creates runs for past ticks that have none.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use sqlx::PgConnection;

use super::{App, AppError, IdempotencyKey, Mode, commit};
use crate::domain::id::ScheduledJobId;
use crate::domain::run::{NewRun, Origin, Priority, Run};
use crate::domain::scheduled_job::ScheduledJob;
use crate::store::{backfills, runs};

/// Maximum number of ticks in one request.
const LIMIT: u64 = 1_000;

/// A request to create runs for past ticks.
#[derive(Clone, Debug)]
pub struct Backfill {
    pub job: ScheduledJobId,
    /// Start of the range, inclusive like its end.
    pub start: DateTime<Utc>,
    pub end: DateTime<Utc>,
    pub priority: Option<Priority>,
    pub requested_by: String,
    pub idempotency_key: Option<IdempotencyKey>,
}

/// What a backfill did, or would do.
#[derive(Clone, Debug)]
pub struct BackfillResult {
    /// All ticks of the range.
    pub ticks: Vec<BackfilledTick>,
    /// Reasons why the runs have to wait.
    pub warnings: Vec<String>,
}

/// A tick of the range with the outcome of its backfill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackfilledTick {
    pub tick_at: DateTime<Utc>,
    pub outcome: Backfilled,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backfilled {
    /// The run that was created; without an id if the request was only validated.
    Created(Option<String>),
    /// The tick already had this run.
    RunExists(String),
}

impl App {
    /// Creates runs for the ticks of a range that have none, in one transaction.
    pub async fn backfill(
        &self,
        request: Backfill,
        mode: Mode,
    ) -> Result<BackfillResult, AppError> {
        let now = self.now();
        check_range(&request, now)?;
        let (mut tx, job) = self.lock_undeleted(&request.job).await?;
        if !job.problems.is_empty() {
            return Err(AppError::JobUnreadable(job.problems));
        }
        let ticks = ticks_of(&job, &request)?;
        let warnings = self.sources.missing(&job.settings.parameters).into_iter().collect();
        let existing = backfills::runs_of_ticks(&mut tx, &job.id, &ticks).await?;
        let request_id = request.idempotency_key.as_ref().map_or("", |key| key.request_id.as_str());
        if is_repeated(&mut tx, &request).await? {
            let created = backfills::backfills_of_request(&mut tx, &job.id, request_id).await?;
            return Ok(BackfillResult { ticks: outcomes(&ticks, &existing, &created), warnings });
        }
        let free = ticks.iter().filter(|tick| !existing.contains_key(tick));
        let random = rand::random();
        let runs: Vec<Run> =
            free.map(|tick| Run::new(run_of(&job, &request, *tick), now, random)).collect();
        if mode == Mode::ValidateOnly {
            let ticks = outcomes(&ticks, &existing, &BTreeMap::new());
            return Ok(BackfillResult { ticks, warnings });
        }
        if let Some(key) = &request.idempotency_key {
            // The lock on the schedule excludes concurrent backfills, so the claim always succeeds.
            key.claim(&mut tx, job.id.as_str(), now).await?;
        }
        runs::runs_insert(&mut tx, &runs).await?;
        backfills::backfills_insert(&mut tx, &runs, request_id, now).await?;
        commit(tx).await?;
        self.work_committed();
        let by_tick =
            runs.iter().filter_map(|run| Some((run.spec.tick_at?, run.spec.id.to_string())));
        Ok(BackfillResult { ticks: outcomes(&ticks, &existing, &by_tick.collect()), warnings })
    }
}

/// The ticks of the range up to the watermark. Later ones are left to the scheduler.
fn ticks_of(job: &ScheduledJob, request: &Backfill) -> Result<Vec<DateTime<Utc>>, AppError> {
    let schedule = &job.settings.schedule;
    let before = request.start - TimeDelta::microseconds(1);
    let end = request.end.min(job.gate.watermark);
    if schedule.count_in(before, end, LIMIT + 1) > LIMIT {
        let last = schedule.ticks_after(before).nth(999);
        let last = last.map(|tick| tick.tick_at.to_rfc3339_opts(SecondsFormat::AutoSi, true));
        let text = format!(
            "the range has more than {LIMIT} ticks; end it at {} for the first {LIMIT}",
            last.unwrap_or_default()
        );
        return Err(AppError::invalid("end_time", text));
    }
    let ticks = schedule.ticks_after(before).map(|tick| tick.tick_at);
    Ok(ticks.take_while(|tick| *tick <= end).collect())
}

async fn is_repeated(conn: &mut PgConnection, request: &Backfill) -> Result<bool, AppError> {
    match &request.idempotency_key {
        Some(key) => Ok(key.find_result(conn).await?.is_some()),
        None => Ok(false),
    }
}

fn check_range(request: &Backfill, now: DateTime<Utc>) -> Result<(), AppError> {
    if request.end > now {
        return Err(AppError::invalid("end_time", "must not be in the future"));
    }
    if request.start > request.end {
        return Err(AppError::invalid("start_time", "must not be after end_time"));
    }
    if request.start < DateTime::UNIX_EPOCH {
        return Err(AppError::invalid("start_time", "must not be before 1970"));
    }
    Ok(())
}

fn run_of(job: &ScheduledJob, request: &Backfill, tick: DateTime<Utc>) -> NewRun {
    NewRun {
        priority: request.priority.unwrap_or(Priority::Low),
        requested_by: request.requested_by.clone(),
        ..job.run_of_tick(Origin::Backfill, tick)
    }
}

/// The outcome of each tick, from the runs that this request `created` and those that existed before.
fn outcomes(
    ticks: &[DateTime<Utc>],
    existing: &BTreeMap<DateTime<Utc>, String>,
    created: &BTreeMap<DateTime<Utc>, String>,
) -> Vec<BackfilledTick> {
    let outcome = |tick: &DateTime<Utc>| match (created.get(tick), existing.get(tick)) {
        (None, Some(run)) => Backfilled::RunExists(run.clone()),
        (created, _) => Backfilled::Created(created.cloned()),
    };
    ticks.iter().map(|tick| BackfilledTick { tick_at: *tick, outcome: outcome(tick) }).collect()
}
