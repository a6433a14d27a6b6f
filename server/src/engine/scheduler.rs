//! Decides ticks when they are due. No leader: any number of servers do it, and the schedule's lock
//! and watermark see to it that each tick is decided once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{pause, wait};
use crate::app::{App, AppError, TickReport};
use crate::error_chain::error_chain;

/// Most schedules of one pass: a transaction of some ten milliseconds.
const BATCH: i64 = 100;
/// How long it sleeps at most: what a step of the clock costs, or a schedule that another server has
/// changed, of which nothing signals this one.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
/// When due schedules are locked by somebody: look again after this.
const LOCKED_PAUSE: Duration = Duration::from_millis(100);
/// How long it waits after the database failed.
const FAILED_PAUSE: Duration = Duration::from_secs(1);
/// How long a job whose ticks cannot be decided is left alone, so that it does not stop the others: what its
/// next tick may be late after an update that mends it.
const HELD_BACK: TimeDelta = TimeDelta::seconds(10);

/// The loop that decides ticks.
pub struct Scheduler {
    app: Arc<App>,
    held_back: BTreeMap<String, DateTime<Utc>>,
}

impl Scheduler {
    /// A scheduler over the use cases.
    pub fn new(app: Arc<App>) -> Self {
        Self { app, held_back: BTreeMap::new() }
    }

    /// Decides ticks until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match self.tick().await {
                Ok(report) if report.schedules > 0 => {}
                Ok(_) => self.sleep(&stop).await,
                Err(error) => {
                    warn!(error = error_chain(&error), "Ticks cannot be decided");
                    pause(&stop, FAILED_PAUSE).await;
                }
            }
        }
    }

    /// Decides one batch of what is due.
    pub async fn tick(&mut self) -> Result<TickReport, AppError> {
        let now = self.app.now();
        self.held_back.retain(|_, until| *until > now);
        let except: Vec<String> = self.held_back.keys().cloned().collect();
        let report = self.app.decide_due(&except, BATCH).await?;
        for run in &report.fired {
            info!(run.id = %run, "A tick made run {run}");
        }
        for (job, error) in &report.failed {
            self.held_back.insert(job.clone(), now + HELD_BACK);
            error!(job.id = %job, error = error_chain(error), "Ticks of job {job} cannot be decided; it is held back");
        }
        Ok(report)
    }

    async fn sleep(&self, stop: &CancellationToken) {
        let except: Vec<String> = self.held_back.keys().cloned().collect();
        let length = match self.app.next_due(&except).await {
            Ok(Some(due)) => (due - self.app.now()).to_std().unwrap_or(LOCKED_PAUSE),
            Ok(None) => LONGEST_SLEEP,
            Err(_) => FAILED_PAUSE,
        };
        wait(stop, &self.app.signals().scheduler, length.min(LONGEST_SLEEP)).await;
    }
}
