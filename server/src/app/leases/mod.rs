//! Leases: workers lease pending runs, keep their leases by heartbeats, and finish their attempts. The reaper
//! ends attempts whose lease expired.
//!
//! The server's own worker and remote workers use the same calls and types. The attempt and the worker's ID are a
//! fence: nothing is accepted from a worker that does not hold the lease.

mod attempt_call;
mod heartbeat;
mod lease;
mod sighting;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use windrow_worker::{AttemptId, AttemptUpdate, Outcome};

use super::logs::{self, Entry, append};
use super::{App, AppError, commit, run_log};
use crate::domain::id::RunId;
use crate::domain::log::Level;
use crate::domain::run::{
    Counts, ERROR_LENGTH, Event, Failure, Lease, LocationResult, REASON_LENGTH, Run, Status,
};
use crate::domain::text::shortened;
use crate::store::{runs, workers};

pub(super) use self::attempt_call::AttemptCall;
pub(super) use self::heartbeat::LeaseCheck;
pub(super) use self::lease::LeaseCall;
pub use self::lease::LeaseRequest;
pub(super) use self::sighting::{Sighting, WORKER_LOST_AFTER};

/// Minimum interval between two updates of a worker's `seen_at`.
const SEEN_EVERY: TimeDelta = TimeDelta::seconds(5);
/// Maximum delay of a cancellation whose notification was lost.
const LONGEST_HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);

/// An attempt and the worker that calls for it. Only the worker that holds the lease may change the run.
#[derive(Clone, Debug)]
pub struct Holder {
    /// `None` if the caller does not name itself; then only the attempt is checked.
    pub worker_id: Option<String>,
    pub attempt: AttemptId,
}

/// The interval at which workers send heartbeats.
pub fn heartbeat_interval(configured: Duration) -> Duration {
    configured.min(LONGEST_HEARTBEAT_INTERVAL)
}

impl App {
    /// Ends an attempt. Idempotent: a repeated call returns the run as the first one left it.
    pub async fn finish(
        &self,
        holder: &Holder,
        outcome: Outcome,
        update: AttemptUpdate,
    ) -> Result<Run, AppError> {
        let call = AttemptCall::new(holder, Some(outcome), update, self.now())?;
        Ok(self.attempts.call(call).await?.run)
    }

    /// Ends up to `limit` attempts whose lease has expired and up to `limit` pending runs whose run timeout
    /// has passed; returns the runs in their new state. An attempt keeps its lease unless its worker could have
    /// extended it since `served_since`.
    pub async fn reap(
        &self,
        limit: i64,
        served_since: DateTime<Utc>,
    ) -> Result<Vec<Run>, AppError> {
        let now = self.now();
        let mut tx = self.begin().await?;
        let expired = runs::runs_lock_expired(&mut tx, limit, served_since, now).await?;
        let workers: Vec<String> = expired.iter().map(worker_of).collect();
        let mut ended = apply_all(expired, &Event::LeaseExpired, now)?;
        let entry = |run: &Run| {
            let attempt = run.state.attempt;
            let text = format!("Attempt {attempt} ended: {}", run.state.error_message);
            let lines = vec![logs::line(Level::Error, text, now)];
            Entry { run: run.spec.id.clone(), attempt, lines }
        };
        append(&mut tx, ended.iter().map(entry).collect(), now).await?;
        let overdue = runs::runs_lock_overdue(&mut tx, limit, now).await?;
        ended.extend(apply_all(overdue, &Event::DeadlinePassed, now)?);
        if !ended.is_empty() {
            runs::runs_write(&mut tx, &ended).await?;
            // They held leases that they did not extend.
            workers::workers_delete_silent(&mut tx, &workers, now - SEEN_EVERY * 2).await?;
            commit(tx).await?;
            for (run, worker) in ended.iter().zip(&workers) {
                run_log::log_lost_lease(run, worker);
            }
            run_log::log_changed(ended.iter().skip(workers.len()));
            self.work_committed();
        }
        Ok(ended)
    }

    /// Writes the log lines and location results of an attempt.
    async fn progress(&self, holder: &Holder, update: AttemptUpdate) -> Result<(), AppError> {
        let call = AttemptCall::new(holder, None, update, self.now())?;
        self.attempts.call(call).await.map(drop)
    }
}

/// Applies an event of an attempt; a run that no longer accepts it has lost the lease.
pub(super) fn apply(run: Run, event: Event, now: DateTime<Utc>) -> Result<Run, AppError> {
    let (id, attempt) = (run.spec.id.clone(), run.state.attempt);
    run.apply(event, now).map_err(|_invalid| AppError::LeaseLost { run: id, attempt })
}

pub(super) fn progressed(attempt: i32, found: Counts, results: Vec<LocationResult>) -> Event {
    Event::Progressed { attempt, found, results }
}

/// The results of a worker, with reasons of bounded length.
pub(super) fn to_results(results: Vec<windrow_worker::LocationResult>) -> Vec<LocationResult> {
    let failure = |failure: windrow_worker::Failure| Failure {
        reason: shortened(&failure.reason, REASON_LENGTH),
        permanent: failure.permanent,
    };
    let result = |result: windrow_worker::LocationResult| LocationResult {
        location: result.location,
        failure: result.failure.map(failure),
    };
    results.into_iter().map(result).collect()
}

/// The outcome with a reason of bounded length.
fn to_outcome(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Failed { reason, permanent } => {
            Outcome::Failed { reason: shortened(&reason, ERROR_LENGTH), permanent }
        }
        Outcome::Done | Outcome::Cancelled | Outcome::Released => outcome,
    }
}

pub(super) fn run_id(holder: &Holder) -> Result<RunId, AppError> {
    let id = RunId::parse(&holder.attempt.job_id);
    id.map_err(|error| AppError::invalid("attempt.job_id", error.to_string()))
}

pub(super) fn lost(run: &Run, holder: &Holder) -> AppError {
    AppError::LeaseLost { run: run.spec.id.clone(), attempt: holder.attempt.attempt }
}

pub(super) fn holds(run: &Run, holder: &Holder) -> bool {
    let is_holder =
        |lease: &Lease| holder.worker_id.as_ref().is_none_or(|id| *id == lease.worker_id);
    run.state.status == Status::Running
        && run.state.attempt == holder.attempt.attempt
        && run.state.lease.as_ref().is_some_and(is_holder)
}

fn worker_of(run: &Run) -> String {
    run.state.lease.as_ref().map_or_else(String::new, |lease| lease.worker_id.clone())
}

fn apply_all(runs: Vec<Run>, event: &Event, now: DateTime<Utc>) -> Result<Vec<Run>, AppError> {
    let apply = |run: Run| run.apply(event.clone(), now).map_err(AppError::RunEnded);
    runs.into_iter().map(apply).collect()
}
