//! Workers' rights: lease pending runs, keep the lease, finish; and take it from those that are gone.
//!
//! Workers inside the server and on other machines use the same calls. A worker is fenced by its
//! attempt: once the lease is lost, nothing it sends is accepted.

mod beat;
mod take;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

use super::logs::{self, append};
use super::write_runs::write_changed;
use super::{App, AppError, commit};
use crate::domain::id::RunId;
use crate::domain::log::{Level, Line};
use crate::domain::run::{Counts, Event, LocationResult, Run, Status};
use crate::store::runs;

pub use self::beat::{HeartbeatItem, LeaseStatus};
pub use self::take::LeaseRequest;
pub(super) use self::take::WORKER_LOST_AFTER;

/// A worker's entry in the list of workers is not written more often.
const SEEN_EVERY: TimeDelta = TimeDelta::seconds(5);

/// A worker's proof that it holds an attempt.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fence {
    pub run: RunId,
    pub attempt: i32,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It went through all its locations.
    Done,
    Failed {
        /// Why, as a sentence.
        reason: String,
        /// Whether another attempt would fail too.
        permanent: bool,
    },
    /// The worker stopped because of the cancellation.
    Cancelled,
    /// The worker stops and gives the attempt back.
    Released,
}

/// What a worker says of an attempt besides properties. Saying it again is harmless.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttemptUpdate {
    pub results: Vec<LocationResult>,
    /// New lines of the log.
    pub lines: Vec<Line>,
}

impl AttemptUpdate {
    fn is_empty(&self) -> bool {
        self.results.is_empty() && self.lines.is_empty()
    }
}

impl App {
    /// Ends an attempt. A repeated call gets the run as the first one left it.
    pub async fn finish(
        &self,
        fence: &Fence,
        outcome: Outcome,
        update: AttemptUpdate,
    ) -> Result<Run, AppError> {
        let now = self.now();
        let mut tx = self.begin().await?;
        let run = lock(&mut tx, fence).await?;
        if !holds(&run, fence) {
            return if has_ended_so(&run, fence, &outcome) { Ok(run) } else { Err(lost(fence)) };
        }
        append(&mut tx, fence, update.lines, now).await?;
        let run = if update.results.is_empty() {
            run
        } else {
            let run = run.apply(progressed(fence, Counts::default(), update.results), now);
            let run = run.map_err(|_| lost(fence))?;
            write_changed(&mut tx, std::slice::from_ref(&run)).await?;
            run
        };
        let missing = run.state.progress.without_result(&run.spec.parameters.locations);
        if let (Outcome::Done, Some(first)) = (&outcome, missing.first()) {
            let text = format!("'{first}' has no result, and so have {} in all", missing.len());
            return Err(AppError::invalid("location_results", text));
        }
        let run = run.apply(outcome.event(fence.attempt), now).map_err(|_| lost(fence))?;
        write_changed(&mut tx, std::slice::from_ref(&run)).await?;
        commit(tx).await?;
        self.runs_made();
        Ok(run)
    }

    /// Takes up to `limit` runs from workers whose lease expired, gives up pending ones whose time is
    /// over, and returns them as they are then.
    pub async fn reap(&self, limit: i64) -> Result<Vec<Run>, AppError> {
        let now = self.now();
        let mut tx = self.begin().await?;
        let expired = runs::runs_lock_expired(&mut tx, limit, now).await?;
        let mut ended = apply_all(expired, &Event::LeaseExpired, now)?;
        for run in &ended {
            let fence = Fence { run: run.spec.id.clone(), attempt: run.state.attempt };
            let text = format!("The attempt is lost: {}", run.state.error_message);
            append(&mut tx, &fence, vec![logs::line(Level::Error, text, now)], now).await?;
        }
        let overdue = runs::runs_lock_overdue(&mut tx, limit, now).await?;
        ended.extend(apply_all(overdue, &Event::DeadlinePassed, now)?);
        if !ended.is_empty() {
            write_changed(&mut tx, &ended).await?;
            commit(tx).await?;
            self.runs_made();
        }
        Ok(ended)
    }

    async fn progress(&self, fence: &Fence, update: AttemptUpdate) -> Result<(), AppError> {
        let now = self.now();
        let mut tx = self.begin().await?;
        let run = lock_fenced(&mut tx, fence).await?;
        append(&mut tx, fence, update.lines, now).await?;
        let told =
            run.state.progress.clone().with(update.results.clone(), &run.spec.parameters.locations);
        let is_news = told != run.state.progress;
        if is_news {
            let run = run.apply(progressed(fence, Counts::default(), update.results), now);
            let run = run.map_err(|_| lost(fence))?;
            write_changed(&mut tx, std::slice::from_ref(&run)).await?;
        }
        commit(tx).await?;
        if is_news {
            self.events_written();
        }
        Ok(())
    }
}

/// Locks the run of an attempt that still has its lease.
pub(super) async fn lock_fenced(conn: &mut PgConnection, fence: &Fence) -> Result<Run, AppError> {
    let run = lock(conn, fence).await?;
    if holds(&run, fence) { Ok(run) } else { Err(lost(fence)) }
}

pub(super) fn progressed(fence: &Fence, found: Counts, results: Vec<LocationResult>) -> Event {
    Event::Progressed { attempt: fence.attempt, found, results }
}

pub(super) fn lost(fence: &Fence) -> AppError {
    AppError::LeaseLost { run: fence.run.clone(), attempt: fence.attempt }
}

async fn lock(conn: &mut PgConnection, fence: &Fence) -> Result<Run, AppError> {
    let locked = runs::runs_lock(conn, std::slice::from_ref(&fence.run)).await?.pop();
    locked.ok_or_else(|| AppError::RunNotFound(fence.run.clone()))
}

fn holds(run: &Run, fence: &Fence) -> bool {
    run.state.status == Status::Running && run.state.attempt == fence.attempt
}

/// Whether this very attempt has ended like this, so that a call is a repeated one.
fn has_ended_so(run: &Run, fence: &Fence, outcome: &Outcome) -> bool {
    let ended = run.state.attempt == fence.attempt && run.state.status != Status::Running;
    ended
        && match outcome {
            Outcome::Done => {
                run.state.status == Status::Completed || run.state.progress.failure().is_some()
            }
            Outcome::Failed { reason, .. } => run.state.error_message == *reason,
            Outcome::Cancelled => run.state.status == Status::Cancelled,
            Outcome::Released => {
                run.state.status == Status::Pending && run.state.error_message.is_empty()
            }
        }
}

impl Outcome {
    fn event(self, attempt: i32) -> Event {
        match self {
            Self::Done => Event::Done { attempt },
            Self::Failed { reason, permanent } => {
                Event::AttemptFailed { attempt, reason, permanent }
            }
            Self::Cancelled => Event::CancelNoticed { attempt },
            Self::Released => Event::Released { attempt },
        }
    }
}

fn apply_all(runs: Vec<Run>, event: &Event, now: DateTime<Utc>) -> Result<Vec<Run>, AppError> {
    let apply = |run: Run| run.apply(event.clone(), now).map_err(AppError::RunEnded);
    runs.into_iter().map(apply).collect()
}
