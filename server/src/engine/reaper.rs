//! Takes runs back from workers whose lease expired, and fails runs whose run timeout is over.
//!
//! No run stays "running" without a worker: it returns to pending, or ends with the reason.
//!
//! Time in which workers could not extend their leases does not count against them: the time before the start of
//! this server, while the database did not respond, and while the machine was suspended.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio_util::sync::CancellationToken;
use tracing::info;
use windrow_worker::Outage;

use super::pause;
use crate::app::{App, AppError};
use crate::domain::run::Run;

/// Time between two passes: a run waits for the rest of its lease and at most this long.
const PERIOD: Duration = Duration::from_secs(1);
/// Maximum number of runs in one transaction.
const BATCH: i64 = 100;

/// A longer time between two passes was an outage.
const OUTAGE: TimeDelta = TimeDelta::seconds(3);

/// The loop that takes runs back.
pub struct Reaper {
    app: Arc<App>,
}

impl Reaper {
    pub fn new(app: Arc<App>) -> Self {
        Self { app }
    }

    pub async fn run(&self, stop: CancellationToken) {
        let (mut outage, mut service) = (Outage::new("process expired leases"), Service::default());
        while !stop.is_cancelled() {
            outage.record(self.tick(&mut service).await);
            pause(&stop, PERIOD).await;
        }
    }

    /// Processes one batch. Returns the runs as they are afterwards.
    pub async fn tick(&self, service: &mut Service) -> Result<Vec<Run>, AppError> {
        let now = self.app.now();
        let runs = self.app.reap(BATCH, service.since(now)).await?;
        if let Some(outage) = service.passed(now) {
            let seconds = outage.num_seconds();
            info!("Workers have another lease's time: there was no database for {seconds} s");
        }
        Ok(runs)
    }
}

/// The time in which workers can extend their leases through this server.
#[derive(Debug, Default)]
pub struct Service {
    since: DateTime<Utc>,
    /// Start of the last pass that succeeded.
    last_pass: Option<DateTime<Utc>>,
}

impl Service {
    /// The start of the service that lasts until `now`.
    fn since(&mut self, now: DateTime<Utc>) -> DateTime<Utc> {
        // A clock that was set back must not keep leases for longer.
        if self.outage(now).is_some() || self.last_pass.is_none() || self.since > now {
            self.since = now;
        }
        self.since
    }

    /// Records a pass that succeeded. Returns the length of the outage that it ended.
    fn passed(&mut self, now: DateTime<Utc>) -> Option<TimeDelta> {
        let outage = self.outage(now);
        self.last_pass = Some(now);
        outage
    }

    fn outage(&self, now: DateTime<Utc>) -> Option<TimeDelta> {
        self.last_pass.map(|last| now - last).filter(|outage| *outage > OUTAGE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_begins_at_the_start_and_after_each_outage() {
        let at = |seconds: i64| DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap();
        let mut service = Service::default();
        // The time of a pass, whether it succeeds, and the start of the service that it sees. The outage is reported
        // once, when it is over.
        let mut outages = Vec::new();
        let passes = [
            (0, true, 0),
            (1, true, 0),
            (4, true, 0),
            (5, false, 0),
            (7, false, 0),
            (8, false, 8),
            (60, true, 60),
            (61, true, 60),
            (-100, true, -100),
        ];
        for (now, succeeds, since) in passes {
            assert_eq!(service.since(at(now)), at(since), "at {now}");
            if succeeds {
                outages.extend(service.passed(at(now)).map(|outage| outage.num_seconds()));
            }
        }
        assert_eq!(outages, [56]);
    }
}
