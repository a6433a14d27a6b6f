//! Takes runs from workers that are gone: nothing stays running for ever.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::pause;
use crate::app::{App, AppError};
use crate::domain::run::Run;
use crate::error_chain::error_chain;

/// How often it looks. A run waits at most the rest of its lease and this.
const PERIOD: Duration = Duration::from_secs(1);
/// Most runs of one transaction.
const BATCH: i64 = 100;

/// The loop that takes expired leases.
pub struct Reaper {
    app: Arc<App>,
}

impl Reaper {
    /// A reaper over the use cases.
    pub fn new(app: Arc<App>) -> Self {
        Self { app }
    }

    pub async fn run(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.tick().await {
                warn!(error = error_chain(&error), "Expired leases cannot be taken");
            }
            pause(&stop, PERIOD).await;
        }
    }

    /// Takes one batch of runs whose lease has expired.
    pub async fn tick(&self) -> Result<Vec<Run>, AppError> {
        let taken = self.app.reap(BATCH).await?;
        for run in &taken {
            let (id, status, reason) = (&run.spec.id, run.state.status, &run.state.error_message);
            warn!(run.id = %id, run.status = %status, "Run {id} is {status}: {reason}");
        }
        Ok(taken)
    }
}
