//! Forgets what has had its time.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::pause;
use crate::app::{App, AppError};
use crate::error_chain::error_chain;

/// How often it looks.
const PERIOD: Duration = Duration::from_hours(1);

/// The loop that prunes.
pub struct Pruner {
    app: Arc<App>,
}

impl Pruner {
    /// A pruner over the use cases.
    pub fn new(app: Arc<App>) -> Self {
        Self { app }
    }

    pub async fn run(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match self.tick(&stop).await {
                Ok(count) => debug!(count, "Old rows are forgotten"),
                Err(error) => {
                    warn!(error = error_chain(&error), "Old rows cannot be pruned");
                }
            }
            pause(&stop, PERIOD).await;
        }
    }

    /// Prunes once, but for `stop`; returns how many rows were forgotten, about.
    pub async fn tick(&self, stop: &CancellationToken) -> Result<u64, AppError> {
        let mut count = self.app.prune().await?;
        while !stop.is_cancelled() {
            let events = u64::try_from(self.app.prune_events().await?).unwrap_or(0);
            count += events;
            if events == 0 {
                break;
            }
        }
        Ok(count)
    }
}
