//! Collects the results of an attempt and submits them in batches.

use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use crate::attempt::{
    AttemptId, AttemptUpdate, Failure, LeasedRun, Level, LocationResult, LogLine, Report,
    ScrapedProperty,
};
use crate::backoff::Backoff;
use crate::body::BODY_BYTES;
use crate::error_chain::error_chain;
use crate::held::{StopCause, StopSignal};
use crate::property::Property;
use crate::task::{Found, TaskOutput};
use crate::transport::{TransportError, WorkerTransport};

/// Properties of a report: one statement of a few milliseconds.
const BATCH_PROPERTIES: usize = 500;
/// Bytes of a report: a property may have 1 MiB and a request 4 MiB.
const BATCH_BYTES: usize = 2 * 1024 * 1024;
/// Log lines of a report.
const BATCH_LINES: usize = 500;
/// Maximum age of the oldest property, result or log line of a report.
const BATCH_AGE: Duration = Duration::from_secs(1);
const FIRST_RETRY_PAUSE: Duration = Duration::from_millis(500);

/// The reason why a report failed for good.
#[derive(Debug)]
pub(crate) enum ReportError {
    /// The attempt has to stop.
    Stopped,
    /// The server rejected the report.
    Rejected(String),
}

/// The results of an attempt that are not submitted yet.
pub(crate) struct Reporter<'a> {
    transport: &'a dyn WorkerTransport,
    id: &'a AttemptId,
    report: Report,
    bytes: usize,
    sequence: i64,
    /// Time of the oldest entry of the report.
    dirty_since: Option<Instant>,
}

impl<'a> Reporter<'a> {
    pub(crate) fn new(transport: &'a dyn WorkerTransport, run: &'a LeasedRun) -> Self {
        let report = Report { scraped_before: run.scraped, ..Report::default() };
        Self { transport, id: &run.id, report, bytes: 0, sequence: 0, dirty_since: None }
    }

    /// Takes properties and log lines of a location until its task is gone, and submits full batches;
    /// returns the number of properties.
    pub(crate) async fn take(
        &mut self,
        location: &str,
        output: &mut TaskOutput,
        stop: &StopSignal,
    ) -> Result<u64, ReportError> {
        let mut count = 0;
        loop {
            let due = self.dirty_since.unwrap_or_else(Instant::now) + BATCH_AGE;
            match timeout_at(due, output.next()).await {
                Ok(Some(Found::Property(property))) => {
                    count += 1;
                    self.add(location, property);
                }
                Ok(Some(Found::Line(line))) => {
                    self.log_since(line.logged_at, line.level, location, line.text);
                }
                Ok(None) => return Ok(count),
                Err(_due) => {}
            }
            self.flush_if_due(stop).await?;
        }
    }

    /// Adds the result of a location.
    pub(crate) fn end_location(&mut self, location: &str, failure: Option<Failure>) {
        let location = location.to_owned();
        self.report.update.results.push(LocationResult { location, failure });
        self.touch();
    }

    /// Adds a line to the run's log.
    pub(crate) fn log(&mut self, level: Level, location: &str, text: impl Into<String>) {
        self.log_since(Instant::now(), level, location, text.into());
    }

    /// Submits the report if it is full or old enough.
    pub(crate) async fn flush_if_due(&mut self, stop: &StopSignal) -> Result<(), ReportError> {
        let is_full = self.report.properties.len() >= BATCH_PROPERTIES
            || self.bytes >= BATCH_BYTES
            || self.report.update.lines.len() >= BATCH_LINES;
        let is_old = self.dirty_since.is_some_and(|since| since.elapsed() >= BATCH_AGE);
        if is_full || is_old { self.flush(stop).await } else { Ok(()) }
    }

    /// Submits the properties that are left. Without any, the end of the attempt carries the rest.
    pub(crate) async fn flush_properties(&mut self, stop: &StopSignal) -> Result<(), ReportError> {
        if self.report.properties.is_empty() { Ok(()) } else { self.flush(stop).await }
    }

    /// Submits the report, with retries until the attempt has to stop.
    pub(crate) async fn flush(&mut self, stop: &StopSignal) -> Result<(), ReportError> {
        if self.dirty_since.is_none() {
            return Ok(());
        }
        let scraped = self.submit(stop).await?;
        self.report = Report { scraped_before: scraped, ..Report::default() };
        self.bytes = 0;
        self.dirty_since = None;
        Ok(())
    }

    /// The part of the report that can be sent with the end of the attempt. If properties are lost, so are
    /// the results of their locations: a later attempt has to scrape them again.
    pub(crate) fn into_unreported(self) -> AttemptUpdate {
        let Report { properties, mut update, .. } = self.report;
        if !properties.is_empty() {
            update.results.clear();
        }
        update
    }

    async fn submit(&self, stop: &StopSignal) -> Result<i64, ReportError> {
        let mut backoff = Backoff::new(FIRST_RETRY_PAUSE);
        loop {
            match self.transport.submit(self.id, &self.report).await {
                Ok(scraped) => return Ok(scraped),
                Err(TransportError::LeaseLost) => {
                    stop.stop(StopCause::LeaseLost);
                    return Err(ReportError::Stopped);
                }
                Err(error @ (TransportError::Transient(_) | TransportError::NoDatabase(_))) => {
                    let (run, error) = (&self.id.job_id, error_chain(&error));
                    warn!(run.id = %run, error, "Failed to submit results of run {run}; retrying");
                }
                Err(error @ TransportError::Rejected(_)) => {
                    let error = error_chain(&error);
                    return Err(ReportError::Rejected(format!("results were rejected: {error}")));
                }
            }
            tokio::select! {
                biased;
                () = stop.token().cancelled() => return Err(ReportError::Stopped),
                () = backoff.pause() => {}
            }
        }
    }

    fn add(&mut self, location: &str, mut property: Property) {
        // A task has checked it already.
        self.bytes += property.normalize().unwrap_or(BODY_BYTES);
        let location = location.to_owned();
        self.report.properties.push(ScrapedProperty { location, property });
        self.touch();
    }

    fn log_since(&mut self, logged_at: Instant, level: Level, location: &str, text: String) {
        self.sequence += 1;
        let age = TimeDelta::from_std(logged_at.elapsed()).unwrap_or_default();
        self.report.update.lines.push(LogLine {
            sequence: self.sequence,
            location: location.to_owned(),
            logged_at: self.transport.now() - age,
            level,
            text,
        });
        self.touch();
    }

    fn touch(&mut self) {
        self.dirty_since.get_or_insert_with(Instant::now);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use async_trait::async_trait;
    use chrono::{DateTime, Utc};
    use serde_json::Map;

    use super::*;
    use crate::attempt::{HeartbeatItem, LeaseStatus, Outcome};
    use crate::task::Task;
    use crate::tests::{leased_run, request};

    struct Unreachable;

    fn unreachable<T>() -> Result<T, TransportError> {
        Err(TransportError::Transient("unreachable".into()))
    }

    #[async_trait]
    impl WorkerTransport for Unreachable {
        async fn lease(
            &self,
            _: usize,
            _: Vec<AttemptId>,
        ) -> Result<Vec<LeasedRun>, TransportError> {
            unreachable()
        }

        async fn heartbeat(
            &self,
            _: Vec<HeartbeatItem>,
            _: Duration,
        ) -> Result<BTreeMap<AttemptId, LeaseStatus>, TransportError> {
            unreachable()
        }

        async fn submit(&self, _: &AttemptId, _: &Report) -> Result<i64, TransportError> {
            unreachable()
        }

        async fn finish(
            &self,
            _: &AttemptId,
            _: &Outcome,
            _: &AttemptUpdate,
        ) -> Result<String, TransportError> {
            unreachable()
        }

        fn heartbeat_interval(&self) -> Duration {
            Duration::from_secs(1)
        }

        fn now(&self) -> DateTime<Utc> {
            DateTime::UNIX_EPOCH
        }
    }

    /// The update that remains for the end of an attempt that found `count` properties and was stopped while
    /// the server was unreachable.
    async fn unreported_after(count: usize) -> AttemptUpdate {
        let (run, stop) = (leased_run(), StopSignal::default());
        let mut reporter = Reporter::new(&Unreachable, &run);
        let (task, mut output) = Task::new(request());
        for number in 0..count {
            task.push(Property::new(number.to_string(), Map::new())).await.unwrap();
        }
        task.log("read");
        drop(task);
        let taken = reporter.take("a", &mut output, &stop).await.unwrap();
        assert_eq!(taken, u64::try_from(count).unwrap());
        reporter.end_location("a", None);
        stop.stop(StopCause::ShuttingDown);
        assert!(matches!(reporter.flush(&stop).await, Err(ReportError::Stopped)));
        reporter.into_unreported()
    }

    #[tokio::test]
    async fn a_location_whose_properties_are_lost_has_no_result() {
        let lost = unreported_after(2).await;
        assert_eq!((lost.results.len(), lost.lines.len()), (0, 1));
        assert_eq!(
            unreported_after(0).await.results.len(),
            1,
            "without properties nothing is lost"
        );
    }
}
