//! Making runs of past ticks that have none.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

use super::{App, AppError, IdempotencyKey, Mode, commit};
use crate::domain::id::ScheduledJobId;
use crate::domain::run::{NewRun, Origin, Priority, Run};
use crate::domain::scheduled_job::ScheduledJob;
use crate::store::{backfills, runs};

/// Most ticks of one range.
const LIMIT: u64 = 1_000;

/// A wish for runs of past ticks.
#[derive(Clone, Debug)]
pub struct Backfill {
    pub job: ScheduledJobId,
    /// The first instant of the range.
    pub start: DateTime<Utc>,
    pub end: DateTime<Utc>,
    pub priority: Option<Priority>,
    pub requested_by: String,
    /// Makes it safe to retry.
    pub request: Option<IdempotencyKey>,
}

/// What became of a tick of the range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackfilledTick {
    pub tick_at: DateTime<Utc>,
    pub outcome: Backfilled,
}

/// What was done about a tick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backfilled {
    /// This run was made; without an id it would be.
    Created(Option<String>),
    /// It has this run already.
    RunExists(String),
}

impl App {
    /// Makes runs of the ticks in a range that have none, in one transaction.
    pub async fn backfill(
        &self,
        request: Backfill,
        mode: Mode,
    ) -> Result<Vec<BackfilledTick>, AppError> {
        let now = self.now();
        check_range(&request, now)?;
        let (mut tx, job) = self.lock_undeleted(&request.job).await?;
        if !job.problems.is_empty() {
            return Err(AppError::JobUnreadable(job.problems));
        }
        let ticks = self.ticks_of(&job, &request)?;
        let taken = backfills::runs_of_ticks(&mut tx, &job.id, &ticks).await?;
        let request_id = request.request.as_ref().map_or("", |key| key.request_id.as_str());
        if was_made(&mut tx, &request).await? {
            let created = backfills::backfills_of_request(&mut tx, &job.id, request_id).await?;
            return Ok(outcomes(&ticks, &taken, &created));
        }
        let free = ticks.iter().filter(|tick| !taken.contains_key(tick));
        let random = rand::random();
        let runs: Vec<Run> =
            free.map(|tick| Run::new(run_of(&job, &request, *tick), now, random)).collect();
        if mode == Mode::ValidateOnly {
            return Ok(outcomes(&ticks, &taken, &BTreeMap::new()));
        }
        if let Some(key) = &request.request {
            // The schedule's lock keeps other calls of this kind out, so nobody else claims it.
            key.claim(&mut tx, job.id.as_str(), now).await?;
        }
        runs::runs_insert(&mut tx, &runs).await?;
        backfills::backfills_insert(&mut tx, &runs, request_id, now).await?;
        commit(tx).await?;
        self.runs_made();
        let by_tick =
            runs.iter().filter_map(|run| Some((run.spec.tick_at?, run.spec.id.to_string())));
        Ok(outcomes(&ticks, &taken, &by_tick.collect()))
    }

    /// The ticks of the range. Those that are due but not decided are the scheduler's.
    fn ticks_of(
        &self,
        job: &ScheduledJob,
        request: &Backfill,
    ) -> Result<Vec<DateTime<Utc>>, AppError> {
        let schedule = self.timed(job.settings.schedule.clone());
        let before = request.start - TimeDelta::microseconds(1);
        let end = request.end.min(job.gate.watermark);
        if schedule.count_in(before, end, LIMIT + 1) > LIMIT {
            let last = schedule.ticks_after(before).nth(999).map(|tick| tick.tick_at.to_rfc3339());
            let text = format!(
                "the range has more than {LIMIT} ticks; the first {LIMIT} end at {}",
                last.unwrap_or_default()
            );
            return Err(AppError::invalid("end_time", text));
        }
        let ticks = schedule.ticks_after(before).map(|tick| tick.tick_at);
        Ok(ticks.take_while(|tick| *tick <= end).collect())
    }
}

async fn was_made(conn: &mut PgConnection, request: &Backfill) -> Result<bool, AppError> {
    match &request.request {
        Some(key) => Ok(key.find_idempotent_result(conn).await?.is_some()),
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

/// What became of each tick: `created` runs are this request's, `taken` ones were there.
fn outcomes(
    ticks: &[DateTime<Utc>],
    taken: &BTreeMap<DateTime<Utc>, String>,
    created: &BTreeMap<DateTime<Utc>, String>,
) -> Vec<BackfilledTick> {
    let outcome = |tick: &DateTime<Utc>| match (created.get(tick), taken.get(tick)) {
        (None, Some(run)) => Backfilled::RunExists(run.clone()),
        (created, _) => Backfilled::Created(created.cloned()),
    };
    ticks.iter().map(|tick| BackfilledTick { tick_at: *tick, outcome: outcome(tick) }).collect()
}
