//! Keeps next ticks where the rules of time zones have them: after the start, and when the system's rules change.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::info;
use windrow_worker::Outage;

use super::pause;
use crate::app::{App, AppError, MovedTicks};
use crate::config::TimeZoneSettings;
use crate::domain::time_zones::{install, time_zones};
use crate::zoneinfo;

/// Time between two looks at the system's rules. Reading them takes some ten milliseconds; laws change days ahead.
const PERIOD: Duration = Duration::from_hours(1);
/// Pause after a failure.
const FAILED_PAUSE: Duration = Duration::from_secs(1);

/// The loop that follows the rules.
pub struct RuleKeeper {
    app: Arc<App>,
    settings: TimeZoneSettings,
    /// All jobs wait for the ticks that the rules in use have.
    is_settled: AtomicBool,
}

impl RuleKeeper {
    pub fn new(app: Arc<App>, settings: TimeZoneSettings) -> Self {
        Self { app, settings, is_settled: AtomicBool::new(false) }
    }

    pub async fn run(&self, stop: CancellationToken) {
        let mut outage = Outage::new("check the next ticks of jobs");
        while !stop.is_cancelled() {
            let is_done = outage.record(self.settle().await).is_some();
            pause(&stop, if is_done { PERIOD } else { FAILED_PAUSE }).await;
            if is_done && !stop.is_cancelled() {
                self.reload();
            }
        }
    }

    /// Reads the rules again and moves next ticks if necessary.
    pub async fn tick(&self) -> Result<MovedTicks, AppError> {
        self.reload();
        self.settle().await
    }

    /// Moves next ticks, after the start and after a change of the rules.
    async fn settle(&self) -> Result<MovedTicks, AppError> {
        if self.is_settled.load(Ordering::Relaxed) {
            return Ok(MovedTicks::default());
        }
        let moved = self.app.rearm_moved_ticks().await?;
        self.is_settled.store(true, Ordering::Relaxed);
        Ok(moved)
    }

    fn reload(&self) {
        let zones = zoneinfo::load(&self.settings);
        if zones != *time_zones() {
            info!("Using other time zone data: {zones} instead of {}", time_zones());
            install(zones);
            self.is_settled.store(false, Ordering::Relaxed);
        }
    }
}
