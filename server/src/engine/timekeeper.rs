//! Keeps this server's clock in step with the database's.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::Instant;
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
/// Time between two lines about the offset.
const REMINDER: Duration = Duration::from_hours(1);
/// A larger step of the database's clock is logged: it was or is wrong.
const LOGGED_STEP: TimeDelta = TimeDelta::minutes(1);
/// Measurements between two looks for jobs that wait because the clock was ahead: one every ten minutes.
const LOOK_EVERY: u32 = 60;

/// The loop that measures.
pub struct Timekeeper {
    app: Arc<App>,
    clock: Arc<SystemClock>,
    reminded: Mutex<Option<Instant>>,
    has_looked: AtomicBool,
}

impl Timekeeper {
    pub fn new(app: Arc<App>, clock: Arc<SystemClock>) -> Self {
        Self { app, clock, reminded: Mutex::new(None), has_looked: AtomicBool::new(false) }
    }

    pub fn clock(&self) -> Arc<SystemClock> {
        Arc::clone(&self.clock)
    }

    pub async fn run(&self, stop: CancellationToken) {
        let mut outage = Outage::new("read the database's clock");
        let mut measurements = 0_u32;
        while !stop.is_cancelled() {
            pause(&stop, PERIOD).await;
            outage.record(self.tick().await);
            measurements = measurements.wrapping_add(1);
            if measurements.is_multiple_of(LOOK_EVERY) {
                outage.record(self.app.check_jobs_ahead().await);
            }
        }
    }

    /// Measures once. Returns the offset of this machine's clock, or `None` if all readings were too slow.
    ///
    /// A clock that was never set is also set by a slow reading: late is better than early. The first measurement,
    /// and one that finds the clock set back, look for jobs that wait because it was ahead.
    pub async fn tick(&self) -> Result<Option<TimeDelta>, AppError> {
        let reading = self.quickest_reading().await?;
        if reading.round_trip() > MAX_ROUND_TRIP && self.clock.is_set() {
            return Ok(None);
        }
        let step = self.clock.is_set().then(|| reading.database - self.clock.at(reading.after));
        self.clock.set(&reading);
        let step = step.unwrap_or_default();
        if step.abs() > LOGGED_STEP {
            let seconds = step.num_seconds();
            warn!(
                clock.step_s = seconds,
                "The database's clock was set by {seconds} s; ticks and leases follow it"
            );
        }
        let offset = reading.offset();
        self.log_offset(offset);
        if !self.has_looked.swap(true, Ordering::Relaxed) || step < -LOGGED_STEP {
            self.app.check_jobs_ahead().await?;
        }
        Ok(Some(offset))
    }

    /// Logs a large offset once, and then every hour.
    fn log_offset(&self, offset: TimeDelta) {
        let mut reminded = self.reminded.lock().unwrap_or_else(PoisonError::into_inner);
        if offset.abs() <= LOGGED_OFFSET {
            *reminded = None;
        } else if reminded.is_none_or(|at| at.elapsed() >= REMINDER) {
            *reminded = Some(Instant::now());
            let offset_ms = offset.num_milliseconds();
            warn!(
                clock.offset_ms = offset_ms,
                "The database's clock is {offset_ms} ms ahead of this machine's; using the database's. If that \
                 one is wrong, correct it now: ticks are decided by it"
            );
        }
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
