//! Keeps this server's clock by the database's.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::pause;
use crate::app::{App, AppError};
use crate::clock::{Reading, SystemClock};
use crate::error_chain::error_chain;

/// How often it is measured.
const PERIOD: Duration = Duration::from_secs(10);
/// Of so many readings the quickest counts: the others waited for a connection or for the network.
const READINGS: usize = 3;
/// A reading that took longer would make the time late by as much, so the last one is kept.
const LONGEST: Duration = Duration::from_secs(1);
/// A larger offset is worth a warning: the machine's clock is wrong.
const NOTABLE: TimeDelta = TimeDelta::milliseconds(500);

/// The loop that measures.
pub struct Timekeeper {
    app: Arc<App>,
    clock: Arc<SystemClock>,
}

impl Timekeeper {
    pub fn new(app: Arc<App>, clock: Arc<SystemClock>) -> Self {
        Self { app, clock }
    }

    pub fn clock(&self) -> Arc<SystemClock> {
        Arc::clone(&self.clock)
    }

    pub async fn run(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            pause(&stop, PERIOD).await;
            if let Err(error) = self.tick().await {
                warn!(error = error_chain(&error), "The database's time is not known");
            }
        }
    }

    /// Measures once; returns how far this machine's clock is off, unless that was too vague.
    ///
    /// A clock that was never set is set by a vague reading too: late is better than early.
    pub async fn tick(&self) -> Result<Option<TimeDelta>, AppError> {
        let reading = self.quickest_reading().await?;
        if reading.round_trip() > LONGEST && self.clock.is_set() {
            return Ok(None);
        }
        self.clock.set(&reading);
        let offset = reading.offset();
        if offset.abs() > NOTABLE {
            let milliseconds = offset.num_milliseconds();
            warn!(
                clock.offset_ms = milliseconds,
                "This machine's clock is {milliseconds} ms off the database's, and corrected"
            );
        }
        Ok(Some(offset))
    }

    async fn quickest_reading(&self) -> Result<Reading, AppError> {
        let mut quickest = self.reading().await?;
        for _ in 1..READINGS {
            let reading = self.reading().await?;
            if reading.round_trip() < quickest.round_trip() {
                quickest = reading;
            }
        }
        Ok(quickest)
    }

    async fn reading(&self) -> Result<Reading, AppError> {
        let before = SystemClock::moment();
        let database = self.app.database_time().await?;
        Ok(Reading { before, database, after: SystemClock::moment() })
    }
}
