//! Gathers what an attempt finds and reports it in batches, with its results and its log.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::warn;

use crate::attempts::{AttemptStop, StopCause};
use crate::link::{
    AttemptId, AttemptUpdate, LeasedRun, Level, Line, LocationResult, Report, TransportError,
    WorkerTransport,
};
use crate::source::ScrapedRow;

/// Rows of one report: one statement of a few milliseconds.
const BATCH_ROWS: usize = 500;
/// Bytes of one report, as rows may have up to a MiB each, and requests at most 4.
const BATCH_BYTES: usize = 2 * 1024 * 1024;
/// Lines of one report.
const BATCH_LINES: usize = 500;
/// The oldest row waits at most so long, and so does progress.
const BATCH_AGE: Duration = Duration::from_secs(1);
/// Pause before a report that failed is sent again.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Why nothing more can be reported.
#[derive(Debug)]
pub(crate) enum ReportError {
    /// The attempt has to stop.
    Stopped,
    /// The rows were refused.
    Refused(String),
}

/// What an attempt has found and is not reported yet.
pub(crate) struct Reporter<'a> {
    link: &'a dyn WorkerTransport,
    id: &'a AttemptId,
    report: Report,
    bytes: usize,
    sequence: i64,
    /// Since when there is something to report.
    dirty_since: Option<Instant>,
}

impl<'a> Reporter<'a> {
    pub(crate) fn new(link: &'a dyn WorkerTransport, assignment: &'a LeasedRun) -> Self {
        let report = Report { scraped_before: assignment.scraped, ..Report::default() };
        Self { link, id: &assignment.id, report, bytes: 0, sequence: 0, dirty_since: None }
    }

    /// Takes a location's rows until their sender is gone, and reports full batches; returns how many.
    pub(crate) async fn take(
        &mut self,
        location: &str,
        rows: &mut mpsc::Receiver<ScrapedRow>,
        stop: &AttemptStop,
    ) -> Result<u64, ReportError> {
        let mut count = 0;
        loop {
            let due = self.dirty_since.unwrap_or_else(Instant::now) + BATCH_AGE;
            match timeout_at(due, rows.recv()).await {
                Ok(Some(row)) => {
                    count += 1;
                    self.bytes += size(&row);
                    self.report.rows.push((location.to_owned(), row));
                    self.touch();
                }
                Ok(None) => return Ok(count),
                Err(_) => {}
            }
            self.flush_if_due(stop).await?;
        }
    }

    /// The location has ended.
    pub(crate) fn ended(&mut self, location: &str, failure: Option<(String, bool)>) {
        self.report.update.results.push(LocationResult { location: location.to_owned(), failure });
        self.touch();
    }

    /// Writes to the run's log.
    pub(crate) fn log(&mut self, level: Level, location: &str, text: impl Into<String>) {
        self.sequence += 1;
        self.report.update.lines.push(Line {
            sequence: self.sequence,
            location: location.to_owned(),
            logged_at: self.link.now(),
            level,
            text: text.into(),
        });
        self.touch();
    }

    /// Reports if a batch is full or old enough.
    pub(crate) async fn flush_if_due(&mut self, stop: &AttemptStop) -> Result<(), ReportError> {
        let full = self.report.rows.len() >= BATCH_ROWS
            || self.bytes >= BATCH_BYTES
            || self.report.update.lines.len() >= BATCH_LINES;
        let old = self.dirty_since.is_some_and(|since| since.elapsed() >= BATCH_AGE);
        if full || old { self.flush(stop).await } else { Ok(()) }
    }

    /// Reports what there is, again and again while nobody answers and the lease lasts.
    pub(crate) async fn flush(&mut self, stop: &AttemptStop) -> Result<(), ReportError> {
        if self.dirty_since.is_none() {
            return Ok(());
        }
        let scraped = self.send(stop).await?;
        self.report = Report { scraped_before: scraped, ..Report::default() };
        self.bytes = 0;
        self.dirty_since = None;
        Ok(())
    }

    /// What could not be reported, for the end. Without the results of locations whose rows are lost:
    /// a later attempt has to read them again.
    pub(crate) fn rest(self) -> AttemptUpdate {
        let Report { rows, mut update, .. } = self.report;
        if !rows.is_empty() {
            update.results.clear();
        }
        update
    }

    async fn send(&self, stop: &AttemptStop) -> Result<i64, ReportError> {
        loop {
            match self.link.submit(self.id, &self.report).await {
                Ok(scraped) => return Ok(scraped),
                Err(TransportError::LeaseLost) => {
                    stop.stop(StopCause::LeaseLost);
                    return Err(ReportError::Stopped);
                }
                Err(error @ TransportError::Transient(_)) => {
                    let run = &self.id.job_id;
                    warn!(run.id = %run, %error, "What run {run} has found waits to be taken");
                }
                Err(error @ TransportError::Refused(_)) => {
                    let reason = format!("what was found could not be saved: {error}");
                    return Err(ReportError::Refused(reason));
                }
            }
            if stop.token().is_cancelled() {
                return Err(ReportError::Stopped);
            }
            tokio::select! {
                () = stop.token().cancelled() => {}
                () = sleep(RETRY_PAUSE) => {}
            }
        }
    }

    fn touch(&mut self) {
        self.dirty_since.get_or_insert_with(Instant::now);
    }
}

/// About what the row weighs; strings are what makes one heavy.
fn size(row: &ScrapedRow) -> usize {
    row.body.iter().map(|(key, value)| key.len() + value.as_str().map_or(16, str::len)).sum()
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use chrono::{DateTime, Utc};
    use serde_json::{Map, Value};

    use super::*;
    use crate::link::{HeartbeatItem, LeaseStatus, Outcome};

    /// Takes nothing.
    struct Away;

    fn away<T>() -> Result<T, TransportError> {
        Err(TransportError::Transient("away".into()))
    }

    #[async_trait]
    impl WorkerTransport for Away {
        async fn lease(
            &self,
            _: usize,
            _: Vec<AttemptId>,
        ) -> Result<Vec<LeasedRun>, TransportError> {
            away()
        }

        async fn heartbeat(
            &self,
            _: Vec<HeartbeatItem>,
            _: Duration,
        ) -> Result<Vec<(AttemptId, LeaseStatus)>, TransportError> {
            away()
        }

        async fn submit(&self, _: &AttemptId, _: &Report) -> Result<i64, TransportError> {
            away()
        }

        async fn finish(
            &self,
            _: &AttemptId,
            _: &Outcome,
            _: &AttemptUpdate,
        ) -> Result<String, TransportError> {
            away()
        }

        fn heartbeat_interval(&self) -> Duration {
            Duration::from_secs(1)
        }

        fn now(&self) -> DateTime<Utc> {
            DateTime::UNIX_EPOCH
        }
    }

    fn assignment() -> LeasedRun {
        LeasedRun {
            id: AttemptId { job_id: "run".to_owned(), attempt: 1 },
            source: "mls".to_owned(),
            locations: vec!["a".to_owned()],
            request_delay: Duration::ZERO,
            scraped: 0,
            expires_in: Duration::from_secs(20),
            attempt_expires_in: Duration::from_mins(1),
            scheduled_job_id: None,
            origin: "triggered".to_owned(),
            tick_at: None,
            reference_time: DateTime::UNIX_EPOCH,
            parameters: Value::Null,
            listing_types: Vec::new(),
            limit: 10,
        }
    }

    /// What is left for the end of an attempt that found `rows` and was stopped while nobody answered.
    async fn rest_after(rows: usize) -> AttemptUpdate {
        let assignment = assignment();
        let stop = AttemptStop::default();
        let mut reporter = Reporter::new(&Away, &assignment);
        let (sender, mut receiver) = mpsc::channel(8);
        for number in 0..rows {
            let row = ScrapedRow { property_id: number.to_string(), body: Map::new() };
            sender.send(row).await.unwrap();
        }
        drop(sender);
        assert_eq!(
            reporter.take("a", &mut receiver, &stop).await.unwrap(),
            u64::try_from(rows).unwrap()
        );
        reporter.log(Level::Info, "a", "read");
        reporter.ended("a", None);
        stop.stop(StopCause::WorkerStops);
        assert!(matches!(reporter.flush(&stop).await, Err(ReportError::Stopped)));
        reporter.rest()
    }

    #[tokio::test]
    async fn a_location_whose_rows_are_lost_is_not_called_done() {
        let lost = rest_after(2).await;
        assert_eq!((lost.results.len(), lost.lines.len()), (0, 1));
        assert_eq!(rest_after(0).await.results.len(), 1, "without rows nothing is lost");
    }
}
