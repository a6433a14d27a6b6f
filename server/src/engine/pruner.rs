//! Deletes rows that are past their retention: old ticks, events, logs, request ids, workers.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::pause;
use crate::app::{App, AppError};
use crate::error_chain::error_chain;

/// Time between two passes. Retention is in days, so a row may be kept an hour longer.
const PERIOD: Duration = Duration::from_hours(1);

/// The loop that prunes.
pub struct Pruner {
    app: Arc<App>,
}

impl Pruner {
    pub fn new(app: Arc<App>) -> Self {
        Self { app }
    }

    pub async fn run(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match self.tick(&stop).await {
                Ok(rows) => debug!(pruner.rows = rows, "Deleted {rows} rows past their retention"),
                Err(error) => {
                    let error = error_chain(&error);
                    warn!(error, "Failed to delete rows past their retention; retrying in an hour");
                }
            }
            pause(&stop, PERIOD).await;
        }
    }

    /// Runs one pass, which `stop` ends early. Returns the approximate number of deleted rows.
    pub async fn tick(&self, stop: &CancellationToken) -> Result<u64, AppError> {
        let mut rows = self.app.prune().await?;
        while !stop.is_cancelled() {
            let events = u64::try_from(self.app.prune_events().await?).unwrap_or(0);
            rows += events;
            if events == 0 {
                break;
            }
        }
        Ok(rows)
    }
}
