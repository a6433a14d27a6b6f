//! Notifies other servers after events were committed here.
//!
//! A notification is only a hint: every server also polls once a second. The first one after a quiet period is
//! sent immediately; the following ones are merged, because notifications take a lock that is shared by
//! all writers of the cluster.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::pause;
use crate::app::App;
use crate::error_chain::error_chain;

/// Minimum time between two notifications, that is at most 50 per second.
const MIN_INTERVAL: Duration = Duration::from_millis(20);

/// The loop that notifies.
pub struct Notifier {
    app: Arc<App>,
}

impl Notifier {
    pub fn new(app: Arc<App>) -> Self {
        Self { app }
    }

    pub async fn run(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.app.signals().events_committed.notified() => self.tick().await,
            }
            pause(&stop, MIN_INTERVAL).await;
        }
    }

    /// Sends one notification. Without it, other servers see the events at their next poll.
    pub async fn tick(&self) {
        if let Err(error) = self.app.notify_servers().await {
            debug!(error = error_chain(&error), "Failed to notify other servers");
        }
    }
}
