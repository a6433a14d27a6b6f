//! Keeps this server's clock in step with the database's.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use windrow_worker::Outage;

use super::pause;
use crate::app::{App, AppError};
use crate::clock::{Reading, SystemClock};

/// Time between two measurements.
const PERIOD: Duration = Duration::from_secs(10);
/// Readings per measurement. The quickest one counts: the others waited for a connection or the network.
const READINGS: usize = 3;
/// A slower reading is discarded: it would make the time late by as much.
const MAX_ROUND_TRIP: Duration = Duration::from_secs(1);
/// A larger offset is logged: the machine's clock is wrong.
const LOGGED_OFFSET: TimeDelta = TimeDelta::milliseconds(500);

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
        let mut outage = Outage::new("read the database's clock");
        while !stop.is_cancelled() {
            pause(&stop, PERIOD).await;
            outage.record(self.tick().await);
        }
    }

    /// Measures once. Returns the offset of this machine's clock, or `None` if all readings were too slow.
    ///
    /// A clock that was never set is also set by a slow reading: late is better than early.
    pub async fn tick(&self) -> Result<Option<TimeDelta>, AppError> {
        let reading = self.quickest_reading().await?;
        if reading.round_trip() > MAX_ROUND_TRIP && self.clock.is_set() {
            return Ok(None);
        }
        self.clock.set(&reading);
        let offset = reading.offset();
        if offset.abs() > LOGGED_OFFSET {
            let offset_ms = offset.num_milliseconds();
            warn!(
                clock.offset_ms = offset_ms,
                "The database's clock is {offset_ms} ms ahead of this machine's; using the database's"
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
