//! Executes one attempt: scrapes its locations in order, reports the results, and finishes it. A stop
//! takes effect between and within locations.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};

use crate::attempt::{AttemptId, AttemptUpdate, Failure, LeasedRun, Level, Outcome};
use crate::backoff::Backoff;
use crate::error_chain::error_chain;
use crate::held::{HeldAttempts, StopCause, StopSignal};
use crate::panic::caught;
use crate::reporter::{ReportError, Reporter};
use crate::scrape::scrape;
use crate::source::{Source, SourceError};
use crate::task::{ScrapeRequest, Task};
use crate::transport::{TransportError, WorkerTransport};

const FIRST_RETRY_PAUSE: Duration = Duration::from_millis(500);
/// Time for retries of the final report. Usually the lease expires earlier.
const FINISH_TIMEOUT: Duration = Duration::from_mins(10);

/// Executes attempts with these sources.
pub(crate) struct Executor {
    pub(crate) transport: Arc<dyn WorkerTransport>,
    pub(crate) sources: BTreeMap<String, Arc<dyn Source>>,
    pub(crate) held: Arc<HeldAttempts>,
}

/// An attempt in progress.
struct Execution<'a> {
    run: &'a LeasedRun,
    source: &'a dyn Source,
    changed_since: Option<DateTime<Utc>>,
    reporter: Reporter<'a>,
    stop: &'a StopSignal,
}

/// The reason why an attempt did not get through all its locations.
enum Interrupted {
    Stopped,
    /// The source cannot work, or the server rejected its results.
    Broken(String),
}

impl Executor {
    /// Executes an attempt that is held. Its slot is free when its work is done, so that the worker leases the next run
    /// while it reports the end of this one.
    pub(crate) async fn execute(
        &self,
        run: LeasedRun,
        stop: StopSignal,
        slot: Option<OwnedSemaphorePermit>,
    ) {
        let id = &run.id;
        let mut removal = Removal { held: &self.held, id, is_finished: false };
        info!(run.id = %id.job_id, run.attempt = id.attempt, "Run {} begins attempt {}", id.job_id, id.attempt);
        let ended = caught(self.attempt(&run, &stop)).await.unwrap_or_else(|message| {
            // A defect of the worker: panics of sources are handled before.
            let reason = format!("the worker panicked: {message}");
            Some((Outcome::Failed { reason, permanent: false }, AttemptUpdate::default()))
        });
        drop(slot);
        if let Some((outcome, update)) = ended {
            removal.is_finished = self.finish(id, &outcome, &update, &stop).await;
        }
    }

    /// The outcome of the attempt and the part of its results that is not reported; `None` if the lease is
    /// lost.
    async fn attempt(
        &self,
        run: &LeasedRun,
        stop: &StopSignal,
    ) -> Option<(Outcome, AttemptUpdate)> {
        let Some(source) = self.sources.get(&run.source) else {
            let reason = format!("this worker has no source '{}'", run.source);
            return Some((Outcome::Failed { reason, permanent: false }, AttemptUpdate::default()));
        };
        let mut execution = Execution {
            run,
            source: source.as_ref(),
            changed_since: self.changed_since(run, source.as_ref()).await,
            reporter: Reporter::new(self.transport.as_ref(), run),
            stop,
        };
        let scraped = execution.scrape_locations().await;
        // Results are kept, however the attempt ended.
        let flushed = execution.reporter.flush_properties(stop).await.map_err(Interrupted::from);
        let outcome = outcome(run, scraped.and(flushed), stop.cause())?;
        Some((outcome, execution.reporter.into_unreported()))
    }

    /// Lower bound of changes for a source that can list them; `None` (a full read) is always correct.
    async fn changed_since(&self, run: &LeasedRun, source: &dyn Source) -> Option<DateTime<Utc>> {
        let full_every = source.full_every()?;
        let id = &run.id.job_id;
        match self.transport.changed_since(run, full_every).await {
            Ok(Some(since)) => {
                info!(run.id = %id, "Run {id} reads changes since {since}");
                Some(since)
            }
            Ok(None) => {
                info!(run.id = %id, "Run {id} reads everything");
                None
            }
            Err(error) => {
                let error = error_chain(&error);
                warn!(run.id = %id, error, "Failed to find earlier runs; run {id} reads everything");
                None
            }
        }
    }

    /// Reports the end of the attempt, with retries while its lease may last; whether the server knows it.
    async fn finish(
        &self,
        id: &AttemptId,
        outcome: &Outcome,
        update: &AttemptUpdate,
        stop: &StopSignal,
    ) -> bool {
        let run = &id.job_id;
        let give_up_at = Instant::now() + FINISH_TIMEOUT;
        let mut backoff = Backoff::new(FIRST_RETRY_PAUSE);
        loop {
            match self.transport.finish(id, outcome, update).await {
                Ok(status) => {
                    // The server logs the end of the run, at a level that fits it.
                    debug!(run.id = %run, run.status = status, "Finished run {run}: {status}");
                    return true;
                }
                Err(TransportError::LeaseLost) => {
                    warn!(run.id = %run, run.attempt = id.attempt, "Run {run} lost its lease before it finished");
                    return true;
                }
                Err(
                    error @ (TransportError::Transient(_)
                    | TransportError::NoDatabase(_)
                    | TransportError::Rejected(_)),
                ) => {
                    let error = error_chain(&error);
                    warn!(run.id = %run, error, "Failed to finish run {run}; retrying");
                }
            }
            if Instant::now() >= give_up_at || stop.cause() == Some(StopCause::LeaseLost) {
                // The server's reaper ends the attempt.
                return false;
            }
            backoff.pause().await;
        }
    }
}

impl Execution<'_> {
    async fn scrape_locations(&mut self) -> Result<(), Interrupted> {
        for (index, location) in self.run.locations.iter().enumerate() {
            if index > 0 {
                self.delay().await?;
            }
            if self.stop.token().is_cancelled() {
                return Err(Interrupted::Stopped);
            }
            let (result, count) = self.scrape(location).await?;
            self.end_location(location, result, count)?;
            self.reporter.flush_if_due(self.stop).await?;
        }
        Ok(())
    }

    /// The pause between two locations.
    async fn delay(&mut self) -> Result<(), Interrupted> {
        if self.run.request_delay.is_zero() {
            return Ok(());
        }
        self.reporter.flush(self.stop).await?;
        tokio::select! {
            () = self.stop.token().cancelled() => {}
            () = sleep(self.run.request_delay) => {}
        }
        Ok(())
    }

    /// Scrapes a location and reports its properties as they come; returns its result and their number.
    async fn scrape(
        &mut self,
        location: &str,
    ) -> Result<(Result<(), SourceError>, u64), Interrupted> {
        let Self { run, source, changed_since, reporter, stop } = self;
        let (task, mut output) = Task::new(request(run, location, *changed_since));
        let scraping = scrape(*source, task, stop.token());
        // A failed report drops the output, which stops the source; it still has to wind down.
        let reporting = async {
            let taken = reporter.take(location, &mut output, stop).await;
            drop(output);
            taken
        };
        let (result, count) = tokio::join!(scraping, reporting);
        Ok((result, count?))
    }

    fn end_location(
        &mut self,
        location: &str,
        result: Result<(), SourceError>,
        count: u64,
    ) -> Result<(), Interrupted> {
        match result {
            Ok(()) => {
                let text = match count {
                    0 => "no listings".to_owned(),
                    1 => "1 listing".to_owned(),
                    count => format!("{count} listings"),
                };
                self.reporter.log(Level::Info, location, text);
                self.reporter.end_location(location, None);
            }
            Err(SourceError::Stopped) => return Err(Interrupted::Stopped),
            Err(broken @ SourceError::Broken { .. }) => {
                self.reporter.log(Level::Error, location, broken.to_string());
                return Err(Interrupted::Broken(broken.to_string()));
            }
            Err(error @ (SourceError::Failed { .. } | SourceError::TimedOut { .. })) => {
                let permanent = matches!(error, SourceError::Failed { permanent: true, .. });
                let failure = Failure { reason: error.to_string(), permanent };
                self.reporter.log(Level::Error, location, error.to_string());
                self.reporter.end_location(location, Some(failure));
            }
        }
        Ok(())
    }
}

/// Removes the attempt from the held ones when dropped, also by a panic.
struct Removal<'a> {
    held: &'a HeldAttempts,
    id: &'a AttemptId,
    is_finished: bool,
}

impl Drop for Removal<'_> {
    fn drop(&mut self) {
        if self.is_finished {
            self.held.remove_finished(self.id);
        } else {
            self.held.remove_abandoned(self.id);
        }
    }
}

impl From<ReportError> for Interrupted {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::Stopped => Self::Stopped,
            ReportError::Rejected(reason) => Self::Broken(reason),
        }
    }
}

/// The outcome of an attempt; `None` if the lease is lost.
fn outcome(
    run: &LeasedRun,
    result: Result<(), Interrupted>,
    cause: Option<StopCause>,
) -> Option<Outcome> {
    match (result, cause) {
        (_, Some(StopCause::LeaseLost)) => {
            let id = &run.id.job_id;
            warn!(run.id = %id, run.attempt = run.id.attempt, "Run {id} lost its lease");
            None
        }
        (Ok(()), _) => Some(Outcome::Done),
        (Err(Interrupted::Broken(reason)), None) => {
            Some(Outcome::Failed { reason, permanent: false })
        }
        (Err(_), Some(StopCause::CancelRequested)) => Some(Outcome::Cancelled),
        (Err(_), Some(StopCause::ShuttingDown)) => Some(Outcome::Released),
        (Err(_), Some(StopCause::TimedOut)) => {
            let timeout = humantime::format_duration(round_up(run.attempt_expires_in));
            let reason = format!("attempt timeout of {timeout} exceeded");
            Some(Outcome::Failed { reason, permanent: false })
        }
        (Err(Interrupted::Stopped), None) => None,
    }
}

fn request(run: &LeasedRun, location: &str, changed_since: Option<DateTime<Utc>>) -> ScrapeRequest {
    ScrapeRequest {
        job_id: run.id.job_id.clone(),
        attempt: u32::try_from(run.id.attempt).unwrap_or_default(),
        scheduled_job_id: run.scheduled_job_id.clone(),
        origin: run.origin.clone(),
        tick_at: run.tick_at,
        reference_time: run.reference_time,
        location: location.to_owned(),
        parameters: run.parameters.clone(),
        listing_types: run.listing_types.clone(),
        limit: run.limit,
        changed_since,
    }
}

/// To whole seconds: the time that the lease took to arrive is not part of the timeout.
fn round_up(duration: Duration) -> Duration {
    Duration::from_secs(duration.as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX))
}
