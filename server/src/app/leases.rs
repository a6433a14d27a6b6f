//! Workers' rights: lease pending runs, keep the lease, finish; and take it from those that are gone.
//!
//! Workers inside the server and on other machines use the same calls. A worker is fenced by its
//! attempt: once the lease is lost, nothing it sends is accepted.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

use super::changes::write_changed;
use super::{App, AppError, commit};
use crate::domain::id::RunId;
use crate::domain::run::{Event, InvalidTransition, Run, Status};
use crate::store::leases::{self, AttemptKey};
use crate::store::runs;

/// A worker's proof that it holds an attempt.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fence {
    /// The run.
    pub run: RunId,
    /// The attempt.
    pub attempt: i32,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done, perhaps with failed locations.
    Completed,
    /// It failed, with the reason as a sentence.
    Failed(String),
    /// The worker stopped because of the cancellation.
    Cancelled,
    /// The worker stops and gives the attempt back.
    Released,
}

/// An attempt that still has its lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulse {
    /// The run.
    pub run: String,
    /// Whether its cancellation was asked for.
    pub cancel_requested: bool,
}

impl App {
    /// Leases up to `limit` pending runs to a worker, urgent ones first, then older ones.
    pub async fn lease_runs(
        &self,
        worker_id: &str,
        limit: i64,
        lease: Duration,
    ) -> Result<Vec<Run>, AppError> {
        let now = self.now();
        let mut tx = self.begin().await?;
        let ready = runs::runs_lock_ready(&mut tx, &self.sources.names, limit, now).await?;
        let leased = Event::Leased { worker_id: worker_id.to_owned(), lease };
        let running = apply_all(ready, &leased, now)?;
        if !running.is_empty() {
            write_changed(&mut tx, &running).await?;
            commit(tx).await?;
            self.events_written();
        }
        Ok(running)
    }

    /// Extends leases from now, and returns the attempts that still had theirs.
    pub async fn extend_leases(
        &self,
        fences: &[Fence],
        lease: Duration,
    ) -> Result<Vec<Pulse>, AppError> {
        let until = self.now() + TimeDelta::from_std(lease).unwrap_or(TimeDelta::MAX);
        let mut conn = self.acquire().await?;
        let live = leases::leases_extend(&mut conn, &keys(fences), until).await?;
        Ok(live.into_iter().map(Pulse::from).collect())
    }

    /// The attempts that still have their lease.
    pub async fn check_leases(&self, fences: &[Fence]) -> Result<Vec<Pulse>, AppError> {
        let mut conn = self.acquire().await?;
        let live = leases::leases_live(&mut conn, &keys(fences)).await?;
        Ok(live.into_iter().map(Pulse::from).collect())
    }

    /// Ends an attempt.
    pub async fn finish(&self, fence: &Fence, outcome: Outcome) -> Result<Run, AppError> {
        let now = self.now();
        let mut tx = self.begin().await?;
        let run = lock_fenced(&mut tx, fence).await?;
        let run = run.apply(outcome.event(fence.attempt), now).map_err(|e| lost(fence, &e))?;
        write_changed(&mut tx, std::slice::from_ref(&run)).await?;
        commit(tx).await?;
        self.runs_made();
        Ok(run)
    }

    /// Takes up to `limit` runs from workers whose lease expired, and returns them as they are then.
    pub async fn reap_leases(&self, limit: i64) -> Result<Vec<Run>, AppError> {
        let now = self.now();
        let mut tx = self.begin().await?;
        let expired = runs::runs_lock_expired(&mut tx, limit, now).await?;
        let taken = apply_all(expired, &Event::LeaseExpired, now)?;
        if !taken.is_empty() {
            write_changed(&mut tx, &taken).await?;
            commit(tx).await?;
            self.runs_made();
        }
        Ok(taken)
    }
}

/// Locks the run of an attempt that still has its lease.
pub(super) async fn lock_fenced(conn: &mut PgConnection, fence: &Fence) -> Result<Run, AppError> {
    let locked = runs::runs_lock(conn, std::slice::from_ref(&fence.run)).await?.pop();
    let run = locked.ok_or_else(|| AppError::RunNotFound(fence.run.clone()))?;
    if run.status == Status::Running && run.attempt == fence.attempt {
        Ok(run)
    } else {
        Err(AppError::LeaseLost { run: fence.run.clone(), attempt: fence.attempt })
    }
}

impl Outcome {
    fn event(self, attempt: i32) -> Event {
        match self {
            Self::Completed => Event::Completed { attempt },
            Self::Failed(reason) => Event::AttemptFailed { attempt, reason },
            Self::Cancelled => Event::CancelNoticed { attempt },
            Self::Released => Event::Released { attempt },
        }
    }
}

impl From<leases::LiveAttempt> for Pulse {
    fn from(live: leases::LiveAttempt) -> Self {
        Self { run: live.job_id, cancel_requested: live.cancel_requested }
    }
}

fn apply_all(runs: Vec<Run>, event: &Event, now: DateTime<Utc>) -> Result<Vec<Run>, AppError> {
    let apply = |run: Run| run.apply(event.clone(), now).map_err(AppError::RunEnded);
    runs.into_iter().map(apply).collect()
}

fn lost(fence: &Fence, _error: &InvalidTransition) -> AppError {
    AppError::LeaseLost { run: fence.run.clone(), attempt: fence.attempt }
}

fn keys(fences: &[Fence]) -> Vec<AttemptKey> {
    let key = |fence: &Fence| AttemptKey { job_id: fence.run.to_string(), attempt: fence.attempt };
    fences.iter().map(key).collect()
}
