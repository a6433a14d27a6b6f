//! Takes runs back from workers whose lease expired, and fails runs whose run timeout is over.
//!
//! No run stays "running" without a worker: it returns to pending, or ends with the reason.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use windrow_worker::Outage;

use super::pause;
use crate::app::{App, AppError};
use crate::domain::run::Run;

/// Time between two passes: a run waits for the rest of its lease and at most this long.
const PERIOD: Duration = Duration::from_secs(1);
/// Maximum number of runs in one transaction.
const BATCH: i64 = 100;

/// The loop that takes runs back.
pub struct Reaper {
    app: Arc<App>,
}

impl Reaper {
    pub fn new(app: Arc<App>) -> Self {
        Self { app }
    }

    pub async fn run(&self, stop: CancellationToken) {
        let mut outage = Outage::new("process expired leases");
        while !stop.is_cancelled() {
            outage.record(self.tick().await);
            pause(&stop, PERIOD).await;
        }
    }

    /// Processes one batch. Returns the runs as they are afterwards.
    pub async fn tick(&self) -> Result<Vec<Run>, AppError> {
        self.app.reap(BATCH).await
    }
}
