//! Keeps the limits of sources the same on all servers, and reports settings that differ.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use windrow_worker::Outage;

use super::pause;
use crate::app::{App, AppError, Disagreement};
use crate::error_chain::error_chain;

/// Limits of a server that starts hold on the others after this time.
const PERIOD: Duration = Duration::from_secs(5);

/// The loop that shares limits.
pub struct LimitKeeper {
    app: Arc<App>,
}

impl LimitKeeper {
    pub fn new(app: Arc<App>) -> Self {
        Self { app }
    }

    pub async fn run(&self, stop: CancellationToken) {
        let (mut outage, mut known) = (Outage::new("share the limits of sources"), Vec::new());
        while !stop.is_cancelled() {
            outage.record(self.tick(&mut known).await);
            pause(&stop, PERIOD).await;
        }
        if let Err(error) = self.app.forget_server().await {
            warn!(
                error = error_chain(&error),
                "Failed to unregister; this server expires in a minute"
            );
        }
    }

    /// Shares the limits once. Logs the disagreements if they are not the `known` ones.
    pub async fn tick(&self, known: &mut Vec<Disagreement>) -> Result<(), AppError> {
        let different = self.app.share_source_limits().await?;
        if different != *known {
            different.iter().for_each(log);
            if different.is_empty() {
                info!("All servers have the same limits of sources");
            }
            *known = different;
        }
        Ok(())
    }
}

fn log(Disagreement { source, limits }: &Disagreement) {
    let limit = |limit: &Option<i64>| limit.map_or("none".to_owned(), |limit| limit.to_string());
    let all: Vec<String> =
        limits.iter().map(|(server, it)| format!("{} on {server}", limit(it))).collect();
    let lowest = limit(&limits.values().copied().flatten().min());
    warn!(
        source.name = source,
        "max_concurrent_runs of source {source} differs between servers; the lowest, {lowest}, holds on all: {}",
        all.join(", ")
    );
}
