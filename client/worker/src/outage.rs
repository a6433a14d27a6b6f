//! Logs the failures of a loop that retries forever.

use std::error::Error;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::error_chain;

/// A failure that continues is repeated at WARN at this interval.
const REMINDER: Duration = Duration::from_mins(1);

/// A task that may fail several times in a row. Logs the first failure, a reminder each minute, and the
/// recovery, so that an outage is a few lines.
#[derive(Debug)]
pub struct Outage {
    /// Completes "Failed to".
    task: &'static str,
    /// The times of the first failure and of the last WARN.
    since: Option<(Instant, Instant)>,
}

impl Outage {
    /// `task` completes "Failed to", for example "lease runs".
    pub fn new(task: &'static str) -> Self {
        Self { task, since: None }
    }

    /// Records a failure.
    pub fn failed(&mut self, error: &dyn Error) {
        let (task, error, now) = (self.task, error_chain(error), Instant::now());
        match &mut self.since {
            Some((_, warned)) if now - *warned < REMINDER => {
                return debug!(error, "Failed to {task} again");
            }
            Some((_, warned)) => *warned = now,
            None => self.since = Some((now, now)),
        }
        warn!(error, "Failed to {task}; retrying");
    }

    /// Records a success.
    pub fn succeeded(&mut self) {
        if let Some((began, _)) = self.since.take() {
            let (task, seconds) = (self.task, began.elapsed().as_secs());
            info!("Able to {task} again after {seconds} s");
        }
    }

    /// Records a success or a failure, and returns the value of a success.
    pub fn record<T, E: Error>(&mut self, result: Result<T, E>) -> Option<T> {
        match result {
            Ok(value) => {
                self.succeeded();
                Some(value)
            }
            Err(error) => {
                self.failed(&error);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_reported_at_its_start_each_minute_and_at_its_end() {
        let mut outage = Outage::new("read");
        let mut warnings = 0;
        for _ in 0..150 {
            outage.failed(&io::Error::other("gone"));
            warnings += i32::from(outage.since.is_some_and(|(_, warned)| warned == Instant::now()));
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(warnings, 3);
        assert_eq!(outage.record(Ok::<_, io::Error>(5)), Some(5));
        assert!(outage.since.is_none());
    }
}
