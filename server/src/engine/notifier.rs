//! Tells other servers that something changed: at once after a quiet time, then merged.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::pause;
use crate::app::App;
use crate::error_chain::error_chain;

/// At most 50 notifications a second: more would slow every writer of the cluster.
const GAP: Duration = Duration::from_millis(20);

/// The loop that notifies.
pub struct Notifier {
    app: Arc<App>,
}

impl Notifier {
    /// A notifier for what the use cases write.
    pub fn new(app: Arc<App>) -> Self {
        Self { app }
    }

    pub async fn run(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.app.signals().notifier.notified() => self.tick().await,
            }
            pause(&stop, GAP).await;
        }
    }

    /// Notifies once. A lost hint costs a poll's time, so a failure is only noted.
    pub async fn tick(&self) {
        if let Err(error) = self.app.notify_servers().await {
            debug!(error = error_chain(&error), "Other servers were not notified");
        }
    }
}
