//! Decides ticks when they are due.
//!
//! There is no leader: any number of servers run this loop, and the lock and the watermark of a schedule
//! ensure that each tick is decided once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};
use windrow_worker::Outage;

use super::{pause, wait};
use crate::app::{App, AppError, TickReport};
use crate::error_chain::error_chain;

/// Maximum number of schedules per pass. Their transaction takes some ten milliseconds.
const BATCH: i64 = 100;
/// The same while many schedules are due.
const LARGE_BATCH: i64 = 250;
/// Passes at the same time while many schedules are due: one prepares its transaction while Postgres executes
/// that of the other.
const PASSES: usize = 2;
/// Maximum sleep. It bounds the delay after a clock step, and after a change of a schedule by another
/// server, which sends no signal.
const MAX_SLEEP: Duration = Duration::from_secs(1);
/// Pause while due schedules are locked by another transaction.
const LOCKED_PAUSE: Duration = Duration::from_millis(100);
/// Pause after a database error.
const FAILED_PAUSE: Duration = Duration::from_secs(1);
/// A job whose ticks could not be decided is skipped for this long, so that it does not block the others.
/// Its next tick may be this late after an update that repairs the job.
const SUSPENSION: TimeDelta = TimeDelta::seconds(10);

/// The loop that decides ticks.
pub struct Scheduler {
    app: Arc<App>,
    /// Jobs that are skipped, each with the end of its suspension.
    suspended: BTreeMap<String, DateTime<Utc>>,
    /// The last pass was full, so more schedules are due.
    is_behind: bool,
}

impl Scheduler {
    pub fn new(app: Arc<App>) -> Self {
        Self { app, suspended: BTreeMap::new(), is_behind: false }
    }

    /// Decides ticks until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut outage = Outage::new("process due ticks");
        while !stop.is_cancelled() {
            match outage.record(self.tick().await) {
                Some(report) if report.schedules > 0 => {}
                Some(_) => self.sleep(&stop).await,
                None => pause(&stop, FAILED_PAUSE).await,
            }
        }
    }

    /// Decides a batch of due ticks, or several while there are many.
    pub async fn tick(&mut self) -> Result<TickReport, AppError> {
        let now = self.app.now();
        self.suspended.retain(|_, until| *until > now);
        let except: Vec<String> = self.suspended.keys().cloned().collect();
        let (passes, batch) = if self.is_behind { (PASSES, LARGE_BATCH) } else { (1, BATCH) };
        let passes = (0..passes).map(|_| self.app.decide_due(&except, batch));
        let (mut report, mut failure) = (TickReport::default(), None);
        for pass in join_all(passes).await {
            match pass {
                Ok(pass) => report.add(pass),
                Err(error) => failure = Some(error),
            }
        }
        self.is_behind = i64::try_from(report.schedules).is_ok_and(|count| count >= batch);
        for run in &report.fired {
            info!(run.id = %run, "Created run {run} for a due tick");
        }
        for (job, error) in &report.failed {
            self.suspended.insert(job.clone(), now + SUSPENSION);
            let error = error_chain(error);
            error!(job.id = %job, error, "Failed to process the ticks of job {job}; retrying in 10 seconds");
        }
        // What one pass has decided is not undone by the error of another.
        match failure {
            Some(error) if report.schedules == 0 => Err(error),
            _ => Ok(report),
        }
    }

    async fn sleep(&self, stop: &CancellationToken) {
        let except: Vec<String> = self.suspended.keys().cloned().collect();
        let length = match self.app.next_due(&except).await {
            Ok(Some(due)) => (due - self.app.now()).to_std().unwrap_or(LOCKED_PAUSE),
            Ok(None) => MAX_SLEEP,
            Err(_) => FAILED_PAUSE,
        };
        wait(stop, &self.app.signals().schedule_changed, length.min(MAX_SLEEP)).await;
    }
}
