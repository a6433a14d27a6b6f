//! Keeps this server's clock by the database's.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::pause;
use crate::app::{App, AppError};
use crate::chain::chain;
use crate::clock::SystemClock;

/// How often the offset is measured.
const PERIOD: Duration = Duration::from_secs(10);
/// A larger offset is worth a warning: the machine's clock is wrong.
const NOTABLE: TimeDelta = TimeDelta::milliseconds(500);
/// A measurement that took longer is too vague to be used.
const LONGEST: TimeDelta = TimeDelta::seconds(1);

/// The loop that measures.
pub struct Timekeeper {
    app: Arc<App>,
    clock: Arc<SystemClock>,
}

impl Timekeeper {
    /// Corrects `clock`.
    pub fn new(app: Arc<App>, clock: Arc<SystemClock>) -> Self {
        Self { app, clock }
    }

    /// Measures until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            pause(&stop, PERIOD).await;
            if let Err(error) = self.tick().await {
                warn!(error = chain(&error), "The database's time is not known");
            }
        }
    }

    /// Measures once; returns the offset, unless the measurement was too vague.
    pub async fn tick(&self) -> Result<Option<TimeDelta>, AppError> {
        let before = SystemClock::uncorrected();
        let database = self.app.database_time().await?;
        let after = SystemClock::uncorrected();
        if after - before > LONGEST || after < before {
            return Ok(None);
        }
        let offset = self.clock.correct(before, database, after);
        if offset.abs() > NOTABLE {
            let milliseconds = offset.num_milliseconds();
            warn!(
                clock.offset_ms = milliseconds,
                "This machine's clock is {milliseconds} ms off the database's, and corrected"
            );
        }
        Ok(Some(offset))
    }
}
