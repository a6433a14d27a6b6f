//! Logs the failures of a loop that retries forever.

use std::collections::BTreeSet;
use std::error::Error;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::error_chain;

/// A failure that continues is repeated at WARN at this interval.
const REMINDER: Duration = Duration::from_mins(1);

/// Different causes that are logged between two reminders.
const MAX_CAUSES: usize = 5;

/// A task that may fail several times in a row. Logs the first failure, each new cause, a reminder with the number
/// of failures each minute, and the recovery, so that an outage is a few lines.
#[derive(Debug)]
pub struct Outage {
    /// Completes "Failed to".
    task: &'static str,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    since: Instant,
    last: Instant,
    warned: Instant,
    failures: u64,
    /// Causes logged since the last reminder.
    causes: BTreeSet<String>,
}

impl Outage {
    /// `task` completes "Failed to", for example "lease runs".
    pub const fn new(task: &'static str) -> Self {
        Self { task, current: None }
    }

    /// Records a failure.
    pub fn failed(&mut self, error: &dyn Error) {
        let (task, error, now) = (self.task, error_chain(error), Instant::now());
        let Some(current) = &mut self.current else {
            warn!(error, "Failed to {task}; retrying");
            let causes = BTreeSet::from([error]);
            self.current =
                Some(Current { since: now, last: now, warned: now, failures: 1, causes });
            return;
        };
        current.last = now;
        current.failures += 1;
        let (failures, seconds) = (current.failures, (now - current.since).as_secs());
        if now - current.warned >= REMINDER {
            current.warned = now;
            warn!(error, failures, "Failed to {task} {failures} times in {seconds} s; retrying");
            current.causes = BTreeSet::from([error]);
        } else if current.causes.len() < MAX_CAUSES && !current.causes.contains(&error) {
            warn!(error, failures, "Failed to {task} for another reason; retrying");
            current.causes.insert(error);
        } else {
            debug!(error, "Failed to {task} again");
        }
    }

    /// Records a success.
    pub fn succeeded(&mut self) {
        if let Some(Current { since, failures, .. }) = self.current.take() {
            let (task, seconds) = (self.task, since.elapsed().as_secs());
            info!(failures, "Able to {task} again after {seconds} s and {failures} failures");
        }
    }

    /// Records a success if the last failure is older than `quiet`, for a task whose successes are not observed.
    pub fn settle(&mut self, quiet: Duration) {
        if self.current.as_ref().is_some_and(|current| current.last.elapsed() >= quiet) {
            self.succeeded();
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
            let warned = outage.current.as_ref().is_some_and(|it| it.warned == Instant::now());
            warnings += i32::from(warned);
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(warnings, 3);
        assert_eq!(outage.current.as_ref().unwrap().failures, 150);
        assert_eq!(outage.record(Ok::<_, io::Error>(5)), Some(5));
        assert!(outage.current.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_cause_is_reported_once_and_different_ones_only_a_few_times() {
        let mut outage = Outage::new("read");
        for number in 0..20 {
            outage.failed(&io::Error::other(format!("cause {}", number / 2)));
        }
        assert_eq!(outage.current.as_ref().unwrap().causes.len(), MAX_CAUSES);
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_settles_when_it_was_quiet_for_long_enough() {
        let (mut outage, quiet) = (Outage::new("read"), Duration::from_secs(10));
        outage.failed(&io::Error::other("gone"));
        tokio::time::advance(Duration::from_secs(9)).await;
        outage.settle(quiet);
        assert!(outage.current.is_some());
        tokio::time::advance(Duration::from_secs(1)).await;
        outage.settle(quiet);
        assert!(outage.current.is_none());
    }
}
