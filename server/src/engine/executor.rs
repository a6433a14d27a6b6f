//! Executes one attempt of a run: goes through its locations, reports what it finds, and ends it.
//!
//! It holds a lease like any worker and does everything through the use cases for workers. A stop is
//! honoured between and within locations.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use super::attempts::{AttemptStop, Attempts, StopCause};
use super::pause;
use super::reporter::{ReportError, Reporter};
use crate::app::{App, AppError, Fence, Outcome, parameters_json};
use crate::chain::chain;
use crate::domain::parameters::{DEFAULT_REQUEST_DELAY, LIMIT, ListingType};
use crate::domain::run::Run;
use crate::sources::{ScrapeOutcome, ScrapeRequest, Source, SourceError, SourceRegistry};

/// Rows that a source may be ahead of the database.
const ROWS_AHEAD: usize = 64;
/// Pause before a failed report of the end is sent again.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Executes attempts for this server.
pub struct Executor {
    app: Arc<App>,
    sources: SourceRegistry,
    attempts: Arc<Attempts>,
    worker_id: String,
    lease: Duration,
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
    /// The source cannot work, or what it found cannot be saved.
    Broken(String),
}

impl Executor {
    /// An executor that leases as `worker_id`.
    pub fn new(
        app: Arc<App>,
        sources: SourceRegistry,
        attempts: Arc<Attempts>,
        worker_id: String,
        lease: Duration,
    ) -> Self {
        Self { app, sources, attempts, worker_id, lease }
    }

    /// Whom its leases name.
    pub fn worker_id(&self) -> &str {
        &self.worker_id
    }

    /// How long its leases last without being extended.
    pub fn lease(&self) -> Duration {
        self.lease
    }

    /// Executes the run's current attempt to its end.
    pub async fn execute(&self, run: Run) {
        let fence = Fence { run: run.id.clone(), attempt: run.attempt };
        let stop = self.attempts.hold(fence.clone());
        // Also when the work panics the lease must not be kept for ever.
        let _held = Held { attempts: &self.attempts, fence: &fence };
        info!(run.id = %run.id, run.attempt = run.attempt, "Run {} begins attempt {}", run.id, run.attempt);
        if let Some(outcome) = self.attempt(&run, &fence, &stop).await {
            self.finish(&fence, outcome, &stop).await;
        }
    }

    /// How the attempt ended; `None` when it is no longer ours to end.
    async fn attempt(&self, run: &Run, fence: &Fence, stop: &AttemptStop) -> Option<Outcome> {
        let name = run.parameters.source.as_deref().unwrap_or_default();
        let Some(source) = self.sources.get(name) else {
            return Some(Outcome::Failed(format!("this server has no source '{name}'")));
        };
        let since = self.changed_since(run, source.as_ref()).await;
        let mut reporter = Reporter::new(&self.app, fence, run);
        let source = Reading { source: source.as_ref(), since };
        let worked = self.work(run, source, &mut reporter, stop).await;
        // What was read is kept, however the attempt ended.
        let flushed = reporter.flush(stop).await.map_err(Interrupted::from);
        match (worked.and(flushed), stop.cause()) {
            (_, Some(StopCause::LeaseLost)) => {
                warn!(run.id = %run.id, run.attempt = run.attempt, "Run {} lost its lease", run.id);
                None
            }
            (Ok(()), _) => Some(reporter.outcome()),
            (Err(Interrupted::Broken(reason)), None) => Some(Outcome::Failed(reason)),
            (Err(_), Some(StopCause::Cancelled)) => Some(Outcome::Cancelled),
            (Err(_), Some(StopCause::ServerStops)) => Some(Outcome::Released),
            (Err(Interrupted::Stopped), None) => None,
        }
    }

    /// Since when the run has to look, for a source that can tell. Everything is never wrong.
    async fn changed_since(&self, run: &Run, source: &dyn Source) -> Option<DateTime<Utc>> {
        let full_every = source.full_every()?;
        match self.app.changed_since(run, full_every).await {
            Ok(since) => {
                let what =
                    since.map_or("everything".to_owned(), |at| format!("changes since {at}"));
                info!(run.id = %run.id, "Run {} reads {what}", run.id);
                since
            }
            Err(error) => {
                warn!(run.id = %run.id, error = chain(&error), "Run {} reads everything", run.id);
                None
            }
        }
    }

    async fn work(
        &self,
        run: &Run,
        source: Reading<'_>,
        reporter: &mut Reporter<'_>,
        stop: &AttemptStop,
    ) -> Result<(), Interrupted> {
        let delay = run.parameters.request_delay.unwrap_or(DEFAULT_REQUEST_DELAY);
        for (index, location) in run.parameters.locations.iter().enumerate() {
            if index > 0 && !delay.is_zero() {
                reporter.flush(stop).await?;
                pause(stop.token(), delay).await;
            }
            if stop.token().is_cancelled() {
                return Err(Interrupted::Stopped);
            }
            let outcome =
                scrape(request(run, location, source.since), source.source, reporter, stop).await?;
            log_location(run, location, &outcome);
            match outcome.result {
                Ok(()) => reporter.location_done(),
                Err(SourceError::Stopped) => return Err(Interrupted::Stopped),
                Err(broken @ SourceError::Broken { .. }) => {
                    return Err(Interrupted::Broken(broken.to_string()));
                }
                Err(error @ (SourceError::Failed { .. } | SourceError::TimedOut { .. })) => {
                    reporter.location_failed(location, &error.to_string());
                }
            }
            reporter.flush_if_due(stop).await?;
        }
        Ok(())
    }

    /// Reports the end, again and again while the lease may last.
    async fn finish(&self, fence: &Fence, outcome: Outcome, stop: &AttemptStop) {
        let give_up = Instant::now() + self.lease;
        loop {
            match self.app.finish(fence, outcome.clone()).await {
                Ok(run) => {
                    info!(run.id = %run.id, run.status = %run.status, "Run {} is {}", run.id, run.status);
                    return;
                }
                Err(AppError::LeaseLost { run, attempt }) => {
                    warn!(run.id = %run, run.attempt = attempt, "Run {run} had lost its lease");
                    return;
                }
                Err(error) => {
                    let run = &fence.run;
                    error!(run.id = %run, error = chain(&error), "The end of run {run} cannot be written");
                }
            }
            if Instant::now() >= give_up || stop.cause() == Some(StopCause::LeaseLost) {
                // The reaper takes it from here.
                return;
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }
}

struct Held<'a> {
    attempts: &'a Attempts,
    fence: &'a Fence,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.attempts.release(self.fence);
    }
}

/// Scrapes one location and reports its rows as they come.
async fn scrape(
    request: ScrapeRequest,
    source: &dyn Source,
    reporter: &mut Reporter<'_>,
    stop: &AttemptStop,
) -> Result<ScrapeOutcome, Interrupted> {
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
    taken?;
    Ok(outcome)
}

fn request(run: &Run, location: &str, since: Option<DateTime<Utc>>) -> ScrapeRequest {
    let name = |kind: &ListingType| kind.word().to_uppercase();
    ScrapeRequest {
        job_id: run.id.to_string(),
        attempt: u32::try_from(run.attempt).unwrap_or(0),
        scheduled_job_id: run.scheduled_job_id.as_ref().map(ToString::to_string),
        origin: run.origin.to_string(),
        tick_at: run.tick_at,
        reference_time: run.reference_time(),
        location: location.to_owned(),
        parameters: parameters_json(&run.parameters),
        listing_types: run.parameters.listing_types.iter().map(name).collect(),
        limit: u32::try_from(run.parameters.limit.unwrap_or(LIMIT)).unwrap_or(u32::MAX),
        changed_since: since,
    }
}

fn log_location(run: &Run, location: &str, outcome: &ScrapeOutcome) {
    let log = outcome.log.as_str();
    match &outcome.result {
        Ok(()) | Err(SourceError::Stopped) => {
            debug!(run.id = %run.id, location, log, "A location of run {} has ended", run.id);
        }
        Err(error) => {
            warn!(run.id = %run.id, location, log, "A location of run {} failed: {error}", run.id);
        }
    }
}

impl From<ReportError> for Interrupted {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::Stopped => Self::Stopped,
            ReportError::Refused(reason) => Self::Broken(reason),
        }
    }
}
