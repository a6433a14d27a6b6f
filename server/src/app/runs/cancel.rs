//! Cancelling one run, or all that match a filter.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::app::{App, AppError, Mode, commit, run_log};
use crate::domain::filter::RunFilter;
use crate::domain::id::RunId;
use crate::domain::run::{Event, Run, Status};
use crate::domain::saturating::saturating_i64;
use crate::store::runs;

/// Maximum number of runs in one transaction.
const BATCH: i64 = 200;

/// Number of runs that were cancelled, by their status before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cancelled {
    /// Pending runs, which are cancelled now.
    pub pending: i64,
    /// Running runs, whose workers are asked to stop.
    pub running: i64,
}

impl App {
    /// Cancels a pending run immediately, or asks the worker of a running one to stop. Idempotent.
    pub async fn cancel_run(&self, id: &RunId) -> Result<Run, AppError> {
        let now = self.now();
        let mut tx = self.begin().await?;
        let locked = runs::runs_lock(&mut tx, std::slice::from_ref(id)).await?.pop();
        let run = locked.ok_or_else(|| AppError::RunNotFound(id.clone()))?;
        let asked_for =
            run.state.status == Status::Running && run.state.cancel_requested_at.is_some();
        if asked_for || run.state.status == Status::Cancelled {
            return Ok(run);
        }
        let run = run.apply(Event::CancelRequested, now).map_err(AppError::RunEnded)?;
        runs::runs_write(&mut tx, std::slice::from_ref(&run)).await?;
        commit(tx).await?;
        run_log::log_run(&run);
        // The run of a later tick may have waited for this one.
        self.work_committed();
        self.signals.leases_changed.notify_waiters();
        Ok(run)
    }

    /// Cancels all active runs that match. Each batch has its own transaction, so an error leaves the earlier
    /// batches cancelled.
    pub async fn cancel_runs(&self, filter: &RunFilter, mode: Mode) -> Result<Cancelled, AppError> {
        let now = self.now();
        let (mut all, mut after) = (Cancelled::default(), String::new());
        loop {
            let mut tx = self.begin().await?;
            let ids = runs::runs_to_cancel(&mut tx, filter, &after, now, BATCH).await?;
            let Some(last) = ids.last() else { return Ok(all) };
            after = last.to_string();
            let changed = cancel_batch(&mut tx, &ids, mode, now).await?;
            commit(tx).await?;
            all.pending += count(&changed, Status::Cancelled);
            all.running += count(&changed, Status::Running);
            if mode == Mode::Commit {
                run_log::log_changed(&changed);
                self.work_committed();
                self.signals.leases_changed.notify_waiters();
            }
        }
    }
}

async fn cancel_batch(
    conn: &mut PgConnection,
    ids: &[RunId],
    mode: Mode,
    now: DateTime<Utc>,
) -> Result<Vec<Run>, AppError> {
    // Lock and re-read them: they may have ended since they were found.
    let open = runs::runs_lock(conn, ids).await?.into_iter();
    let cancelled = |run: Run| run.apply(Event::CancelRequested, now).ok();
    let changed: Vec<Run> = open.filter_map(cancelled).collect();
    if mode == Mode::Commit {
        runs::runs_write(conn, &changed).await?;
    }
    Ok(changed)
}

fn count(runs: &[Run], status: Status) -> i64 {
    saturating_i64(runs.iter().filter(|run| run.state.status == status).count())
}
