//! Gathers what an attempt finds and reports it in batches, with its progress.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use super::attempts::{AttemptStop, StopCause};
use super::pause;
use crate::app::{App, AppError, Fence, Outcome, Report, ScrapedProperty};
use crate::chain::chain;
use crate::domain::run::{FailedLocation, Progress, Run};
use crate::sources::ScrapedRow;

/// Rows of one report: one statement of a few milliseconds.
const BATCH_ROWS: usize = 500;
/// Bytes of one report, as rows may have up to a MiB each.
const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// The oldest row waits at most so long, and so does progress.
const BATCH_AGE: Duration = Duration::from_secs(1);
/// Pause before a report that failed is sent again.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// Longest reason of a failed location that is kept, in characters.
const REASON_LENGTH: usize = 300;

/// Why nothing more can be reported.
#[derive(Debug)]
pub(super) enum ReportError {
    /// The attempt has to stop.
    Stopped,
    /// The database refused the rows.
    Refused(String),
}

/// Rows and progress of one attempt that are not reported yet.
pub(super) struct Reporter<'a> {
    app: &'a App,
    fence: &'a Fence,
    /// The run's scraped rows as they are in the database.
    scraped: i64,
    /// The location of the rows that come.
    location: String,
    rows: Vec<ScrapedProperty>,
    bytes: usize,
    progress: Progress,
    /// Since when there is something to report.
    dirty_since: Option<Instant>,
}

impl<'a> Reporter<'a> {
    pub(super) fn new(app: &'a App, fence: &'a Fence, run: &Run) -> Self {
        let progress = Progress::none_of(run.parameters.locations.len());
        let scraped = run.counts.scraped;
        Self {
            app,
            fence,
            scraped,
            location: String::new(),
            rows: Vec::new(),
            bytes: 0,
            progress,
            dirty_since: None,
        }
    }

    /// Takes a location's rows until their sender is gone, and reports full batches.
    pub(super) async fn take(
        &mut self,
        location: &str,
        rows: &mut mpsc::Receiver<ScrapedRow>,
        stop: &AttemptStop,
    ) -> Result<(), ReportError> {
        location.clone_into(&mut self.location);
        loop {
            let due = self.dirty_since.unwrap_or_else(Instant::now) + BATCH_AGE;
            match timeout_at(due, rows.recv()).await {
                Ok(Some(row)) => self.push(row),
                Ok(None) => return Ok(()),
                Err(_) => {}
            }
            self.flush_if_due(stop).await?;
        }
    }

    pub(super) fn location_done(&mut self) {
        self.progress.completed_locations += 1;
        self.touch();
    }

    pub(super) fn location_failed(&mut self, location: &str, reason: &str) {
        let reason = reason.chars().take(REASON_LENGTH).collect();
        self.progress
            .failed_locations
            .push(FailedLocation { location: location.to_owned(), reason });
        self.location_done();
    }

    /// Reports if a batch is full or old enough.
    pub(super) async fn flush_if_due(&mut self, stop: &AttemptStop) -> Result<(), ReportError> {
        let full = self.rows.len() >= BATCH_ROWS || self.bytes >= BATCH_BYTES;
        let old = self.dirty_since.is_some_and(|since| since.elapsed() >= BATCH_AGE);
        if full || old { self.flush(stop).await } else { Ok(()) }
    }

    /// Reports what there is, again and again while the database is away and the lease lasts.
    pub(super) async fn flush(&mut self, stop: &AttemptStop) -> Result<(), ReportError> {
        if self.dirty_since.is_none() {
            return Ok(());
        }
        let rows = std::mem::take(&mut self.rows);
        let report = Report { scraped_before: self.scraped, rows, progress: self.progress.clone() };
        match self.send(&report, stop).await {
            Ok(scraped) => {
                self.scraped = scraped;
                self.bytes = 0;
                self.dirty_since = None;
                Ok(())
            }
            Err(error) => {
                self.rows = report.rows;
                Err(error)
            }
        }
    }

    /// Returns the run's scraped rows after the report.
    async fn send(&self, report: &Report, stop: &AttemptStop) -> Result<i64, ReportError> {
        loop {
            match self.app.submit_properties(self.fence, report).await {
                Ok(run) => return Ok(run.counts.scraped),
                Err(AppError::LeaseLost { .. }) => {
                    stop.stop(StopCause::LeaseLost);
                    return Err(ReportError::Stopped);
                }
                Err(AppError::Store(error)) if error.is_transient() => {
                    let run = &self.fence.run;
                    warn!(run.id = %run, error = chain(&error), "Rows of run {run} wait for the database");
                }
                Err(error) => return Err(ReportError::Refused(refusal(&error))),
            }
            if stop.token().is_cancelled() {
                return Err(ReportError::Stopped);
            }
            pause(stop.token(), RETRY_PAUSE).await;
        }
    }

    /// How an attempt that went through all its locations ended.
    pub(super) fn outcome(&self) -> Outcome {
        let failed = &self.progress.failed_locations;
        match failed.first() {
            Some(first) if failed.len() == count(self.progress.total_locations) => {
                let (location, reason) = (&first.location, &first.reason);
                Outcome::Failed(match failed.len() {
                    1 => format!("{location}: {reason}"),
                    all => format!("all {all} locations failed; the first, {location}: {reason}"),
                })
            }
            Some(_) | None => Outcome::Completed,
        }
    }

    fn push(&mut self, row: ScrapedRow) {
        self.bytes += size(&row);
        let ScrapedRow { property_id, body } = row;
        self.rows.push(ScrapedProperty { property_id, location: self.location.clone(), body });
        self.touch();
    }

    fn touch(&mut self) {
        self.dirty_since.get_or_insert_with(Instant::now);
    }
}

/// About what the row weighs; strings are what makes one heavy.
fn size(row: &ScrapedRow) -> usize {
    row.body.iter().map(|(key, value)| key.len() + value.as_str().map_or(16, str::len)).sum()
}

fn count(locations: i32) -> usize {
    usize::try_from(locations).unwrap_or(0)
}

fn refusal(error: &AppError) -> String {
    format!("what was found could not be saved: {}", chain(error))
}
