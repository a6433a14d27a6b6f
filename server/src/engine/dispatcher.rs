//! Leases pending runs for this server while it has room, and starts their execution.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{Executor, pause, wait};
use crate::app::{App, AppError};
use crate::chain::chain;
use crate::supervisor::Supervisor;

/// How often it looks without being woken.
const POLL: Duration = Duration::from_secs(1);
/// How long it waits after the database failed.
const FAILED_PAUSE: Duration = Duration::from_secs(1);

/// The loop that leases runs.
pub struct Dispatcher {
    app: Arc<App>,
    executor: Arc<Executor>,
    executions: Supervisor,
    room: usize,
    busy: Arc<AtomicUsize>,
}

impl Dispatcher {
    /// A dispatcher with room for so many executions, which belong to `executions`.
    pub fn new(
        app: Arc<App>,
        executor: Arc<Executor>,
        executions: Supervisor,
        room: usize,
    ) -> Self {
        Self { app, executor, executions, room, busy: Arc::default() }
    }

    /// Leases and starts runs until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match self.tick().await {
                Ok(_) => wait(&stop, &self.app.wakes().dispatcher, POLL).await,
                Err(error) => {
                    warn!(error = chain(&error), "Runs cannot be leased");
                    pause(&stop, FAILED_PAUSE).await;
                }
            }
        }
    }

    /// Leases as many runs as there is room for, and starts them; returns how many.
    pub async fn tick(&self) -> Result<usize, AppError> {
        let room = self.room.saturating_sub(self.busy.load(Ordering::Acquire));
        if room == 0 {
            return Ok(0);
        }
        let limit = i64::try_from(room).unwrap_or(i64::MAX);
        let (worker_id, lease) = (self.executor.worker_id(), self.executor.lease());
        let leased = self.app.lease_runs(worker_id, limit, lease).await?;
        let count = leased.len();
        for run in leased {
            let place = Place::take(&self.app, &self.busy);
            let executor = Arc::clone(&self.executor);
            drop(self.executions.work(async move {
                executor.execute(run).await;
                drop(place);
            }));
        }
        Ok(count)
    }
}

/// Room for one execution, given back when dropped, also by a panic.
struct Place {
    app: Arc<App>,
    busy: Arc<AtomicUsize>,
}

impl Place {
    fn take(app: &Arc<App>, busy: &Arc<AtomicUsize>) -> Self {
        busy.fetch_add(1, Ordering::AcqRel);
        Self { app: Arc::clone(app), busy: Arc::clone(busy) }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.busy.fetch_sub(1, Ordering::AcqRel);
        self.app.wakes().dispatcher.notify_one();
    }
}
