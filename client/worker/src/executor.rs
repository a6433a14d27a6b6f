//! Executes one attempt: goes through its locations, reports what it finds, and ends it. A stop is
//! honoured between and within locations.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tracing::{error, info, warn};

use crate::attempts::{AttemptStop, Attempts, StopCause};
use crate::link::{
    AttemptId, AttemptUpdate, LeasedRun, Level, Outcome, TransportError, WorkerTransport,
};
use crate::reporter::{ReportError, Reporter};
use crate::source::{ScrapeOutcome, ScrapeRequest, Source, SourceError};

/// Rows that a source may be ahead of the reports.
const ROWS_AHEAD: usize = 64;
/// Pause before a failed report of the end is sent again.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// How long the end is reported in vain. The lease decides; this is for one that never ends.
const FINISH_PATIENCE: Duration = Duration::from_mins(10);

/// What attempts are executed with.
pub(crate) struct Executor {
    pub(crate) link: Arc<dyn WorkerTransport>,
    pub(crate) sources: BTreeMap<String, Arc<dyn Source>>,
    pub(crate) attempts: Arc<Attempts>,
}

/// A source, and since when it is to look.
#[derive(Clone, Copy)]
struct Reading<'a> {
    source: &'a dyn Source,
    since: Option<DateTime<Utc>>,
}

/// Why an attempt did not go through all its locations.
enum Interrupted {
    /// It was told to stop.
    Stopped,
    /// The source cannot work, or what it found was refused.
    Broken(String),
}

impl Executor {
    /// Executes an attempt that is held.
    pub(crate) async fn execute(&self, assignment: LeasedRun, stop: AttemptStop) {
        let id = &assignment.id;
        // Also when the work panics the lease must not be kept for ever.
        let mut held = HeldAttempt { attempts: &self.attempts, id, finished: false };
        info!(run.id = %id.job_id, run.attempt = id.attempt, "Run {} begins attempt {}", id.job_id, id.attempt);
        if let Some((outcome, update)) = self.attempt(&assignment, &stop).await {
            held.finished = self.finish(id, &outcome, &update, &stop).await;
        }
    }

    /// How the attempt ended; `None` when it is no longer ours to end.
    async fn attempt(
        &self,
        run: &LeasedRun,
        stop: &AttemptStop,
    ) -> Option<(Outcome, AttemptUpdate)> {
        let Some(source) = self.sources.get(&run.source) else {
            let reason = format!("this worker has no source '{}'", run.source);
            return Some((Outcome::Failed { reason, permanent: false }, AttemptUpdate::default()));
        };
        let since = self.changed_since(run, source.as_ref()).await;
        let mut reporter = Reporter::new(self.link.as_ref(), run);
        let source = Reading { source: source.as_ref(), since };
        let worked = work(run, source, &mut reporter, stop).await;
        // What was read is kept, however the attempt ended.
        let flushed = reporter.flush(stop).await.map_err(Interrupted::from);
        let outcome = match (worked.and(flushed), stop.cause()) {
            (_, Some(StopCause::LeaseLost)) => {
                let id = &run.id.job_id;
                warn!(run.id = %id, run.attempt = run.id.attempt, "Run {id} lost its lease");
                return None;
            }
            (Ok(()), _) => Outcome::Done,
            (Err(Interrupted::Broken(reason)), None) => {
                Outcome::Failed { reason, permanent: false }
            }
            (Err(_), Some(StopCause::Cancelled)) => Outcome::Cancelled,
            (Err(_), Some(StopCause::WorkerStops)) => Outcome::Released,
            (Err(_), Some(StopCause::TimedOut)) => {
                let length = humantime::format_duration(whole_seconds(run.attempt_expires_in));
                let reason = format!("the attempt took longer than {length}");
                Outcome::Failed { reason, permanent: false }
            }
            (Err(Interrupted::Stopped), None) => return None,
        };
        Some((outcome, reporter.rest()))
    }

    /// Since when the run has to look, for a source that can tell. Everything is never wrong.
    async fn changed_since(&self, run: &LeasedRun, source: &dyn Source) -> Option<DateTime<Utc>> {
        let full_every = source.full_every()?;
        let id = &run.id.job_id;
        match self.link.changed_since(run, full_every).await {
            Ok(since) => {
                let what =
                    since.map_or("everything".to_owned(), |at| format!("changes since {at}"));
                info!(run.id = %id, "Run {id} reads {what}");
                since
            }
            Err(error) => {
                warn!(run.id = %id, %error, "Run {id} reads everything");
                None
            }
        }
    }

    /// Reports the end, again and again while the lease may last; true when Windrow knows.
    async fn finish(
        &self,
        id: &AttemptId,
        outcome: &Outcome,
        update: &AttemptUpdate,
        stop: &AttemptStop,
    ) -> bool {
        let run = &id.job_id;
        let give_up = Instant::now() + FINISH_PATIENCE;
        loop {
            match self.link.finish(id, outcome, update).await {
                Ok(status) => {
                    info!(run.id = %run, run.status = status, "Run {run} is {status}");
                    return true;
                }
                Err(TransportError::LeaseLost) => {
                    warn!(run.id = %run, run.attempt = id.attempt, "Run {run} had lost its lease");
                    return true;
                }
                Err(error) => {
                    error!(run.id = %run, %error, "The end of run {run} cannot be reported");
                }
            }
            if Instant::now() >= give_up || stop.cause() == Some(StopCause::LeaseLost) {
                // The server takes it from here.
                return false;
            }
            sleep(RETRY_PAUSE).await;
        }
    }
}

async fn work(
    run: &LeasedRun,
    source: Reading<'_>,
    reporter: &mut Reporter<'_>,
    stop: &AttemptStop,
) -> Result<(), Interrupted> {
    for (index, location) in run.locations.iter().enumerate() {
        if index > 0 && !run.request_delay.is_zero() {
            reporter.flush(stop).await?;
            tokio::select! {
                () = stop.token().cancelled() => {}
                () = sleep(run.request_delay) => {}
            }
        }
        if stop.token().is_cancelled() {
            return Err(Interrupted::Stopped);
        }
        let request = request(run, location, source.since);
        let (outcome, rows) = scrape(request, source.source, reporter, stop).await?;
        for line in outcome.log.lines().filter(|line| !line.trim().is_empty()) {
            reporter.log(Level::Info, location, line);
        }
        match outcome.result {
            Ok(()) => {
                let text = match rows {
                    0 => "no listings".to_owned(),
                    1 => "1 listing".to_owned(),
                    rows => format!("{rows} listings"),
                };
                reporter.log(Level::Info, location, text);
                reporter.ended(location, None);
            }
            Err(SourceError::Stopped) => return Err(Interrupted::Stopped),
            Err(broken @ SourceError::Broken { .. }) => {
                reporter.log(Level::Error, location, broken.to_string());
                return Err(Interrupted::Broken(broken.to_string()));
            }
            Err(error @ (SourceError::Failed { .. } | SourceError::TimedOut { .. })) => {
                let permanent = matches!(error, SourceError::Failed { permanent: true, .. });
                reporter.log(Level::Error, location, error.to_string());
                reporter.ended(location, Some((error.to_string(), permanent)));
            }
        }
        reporter.flush_if_due(stop).await?;
    }
    Ok(())
}

struct HeldAttempt<'a> {
    attempts: &'a Attempts,
    id: &'a AttemptId,
    finished: bool,
}

impl Drop for HeldAttempt<'_> {
    fn drop(&mut self) {
        self.attempts.release(self.id, self.finished);
    }
}

/// Scrapes one location and reports its rows as they come; with how many.
async fn scrape(
    request: ScrapeRequest,
    source: &dyn Source,
    reporter: &mut Reporter<'_>,
    stop: &AttemptStop,
) -> Result<(ScrapeOutcome, u64), Interrupted> {
    let (sender, mut rows) = mpsc::channel(ROWS_AHEAD);
    let location = request.location.clone();
    let scrape = source.scrape(request, sender, stop.token().clone());
    // When a report fails, the receiver goes and the source notices; it still has to wind down.
    let report = async {
        let taken = reporter.take(&location, &mut rows, stop).await;
        drop(rows);
        taken
    };
    let (outcome, taken) = tokio::join!(scrape, report);
    Ok((outcome, taken?))
}

fn request(run: &LeasedRun, location: &str, since: Option<DateTime<Utc>>) -> ScrapeRequest {
    ScrapeRequest {
        job_id: run.id.job_id.clone(),
        attempt: u32::try_from(run.id.attempt).unwrap_or(0),
        scheduled_job_id: run.scheduled_job_id.clone(),
        origin: run.origin.clone(),
        tick_at: run.tick_at,
        reference_time: run.reference_time,
        location: location.to_owned(),
        parameters: run.parameters.clone(),
        listing_types: run.listing_types.clone(),
        limit: run.limit,
        changed_since: since,
    }
}

/// What a lease took to arrive is not worth telling.
fn whole_seconds(length: Duration) -> Duration {
    Duration::from_secs(length.as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX))
}

impl From<ReportError> for Interrupted {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::Stopped => Self::Stopped,
            ReportError::Refused(reason) => Self::Broken(reason),
        }
    }
}
