//! `WorkerService`. What it promises stands in the proto files.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::{Stream, StreamExt, stream};
use tonic::{Request, Response, Status, Streaming, async_trait};
use windrow::v1 as proto;
use windrow::v1::worker_service_server::WorkerService;

use super::convert::{self, to_duration, to_run, to_time};
use super::status::status;
use super::{Shutdown, logs, values};
use crate::app::{
    App, AppError, AttemptUpdate, Fence, HeartbeatItem, LeaseRequest, Outcome, Report,
    ScrapedProperty,
};
use crate::domain::run::{Failure, LocationResult, Run};

/// Workers send heartbeats at least so often: what a cancellation takes to reach them.
const LONGEST_HEARTBEAT: Duration = Duration::from_secs(1);
/// How long a lease waits unless it says, and at most.
const WAIT: Duration = Duration::from_secs(20);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Most sources, runs and attempts of a worker.
const MOST: usize = 100;
/// Most properties of a batch.
const BATCH: usize = 1_000;
const WORKER_ID_LENGTH: usize = 200;
const PROPERTY_ID_LENGTH: usize = 200;
/// Longest reason of a failed location that is kept, in characters.
const REASON_LENGTH: usize = 300;

type Submitted = Result<proto::SubmitPropertiesResponse, Status>;

#[derive(Clone)]
pub(super) struct Workers {
    app: Arc<App>,
    stopping: Shutdown,
    terms: WorkerTiming,
}

/// What workers are told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WorkerTiming {
    /// Leases last so long unless a run's policy says otherwise.
    pub(crate) lease: Duration,
    /// How often to send heartbeats, at least.
    pub(crate) heartbeat: Duration,
}

impl Workers {
    pub(super) fn new(app: Arc<App>, stopping: Shutdown, terms: WorkerTiming) -> Self {
        Self { app, stopping, terms }
    }

    async fn lease(
        &self,
        request: proto::LeaseScrapingJobsRequest,
    ) -> Result<proto::LeaseScrapingJobsResponse, AppError> {
        check_worker_id(&request.worker_id)?;
        let sources = self.sources(request.sources)?;
        let capacity = usize::try_from(request.capacity).unwrap_or(0);
        if !(1..=MOST).contains(&capacity) {
            return Err(AppError::invalid("capacity", format!("must be 1 to {MOST}")));
        }
        let wait = wait(request.wait)?.unwrap_or(WAIT);
        let held = request.held_attempts.into_iter().enumerate();
        let held: Vec<Fence> = held
            .map(|(index, attempt)| fence(&format!("held_attempts[{index}]"), Some(attempt)))
            .collect::<Result<_, _>>()?;
        let lease = LeaseRequest {
            worker_id: &request.worker_id,
            sources: &sources,
            capacity,
            lease: self.terms.lease,
            held: &held,
        };
        // A stopping server gives out no more; what it would have leased stays pending.
        let now = self.app.now();
        let runs = tokio::select! {
            biased;
            () = self.stopping.draining.cancelled() => Vec::new(),
            leased = self.app.lease_runs_within(&lease, wait) => leased?,
        };
        Ok(proto::LeaseScrapingJobsResponse {
            leases: runs.iter().map(|run| to_lease(run, now)).collect(),
            heartbeat_interval: to_duration(self.terms.heartbeat.min(LONGEST_HEARTBEAT)),
            draining: self.stopping.draining.is_cancelled(),
        })
    }

    fn sources(&self, names: Vec<String>) -> Result<BTreeSet<String>, AppError> {
        if names.is_empty() || names.len() > MOST {
            return Err(AppError::invalid("sources", format!("must have 1 to {MOST} names")));
        }
        let known = self.app.sources();
        let unknown = |(index, name): (usize, &String)| {
            let text = format!(
                "'{name}' is not a source of this server; a worker's own is declared by \
                 `[sources.{name}]` with `kind = \"worker\"` in windrow.toml"
            );
            AppError::invalid(&format!("sources[{index}]"), text)
        };
        match names.iter().enumerate().find(|(_, name)| !known.names.contains(*name)) {
            Some(found) => Err(unknown(found)),
            None => Ok(names.into_iter().collect()),
        }
    }

    async fn heartbeat(
        &self,
        request: proto::HeartbeatRequest,
    ) -> Result<proto::HeartbeatResponse, AppError> {
        check_worker_id(&request.worker_id)?;
        if request.attempts.len() > MOST {
            return Err(AppError::invalid("attempts", format!("has more than {MOST}")));
        }
        let beat = |(index, report): (usize, proto::AttemptReport)| {
            let path = format!("attempts[{index}]");
            let fence = fence(&format!("{path}.attempt"), report.attempt)?;
            let update = self.update(&format!("{path}."), report.location_results, report.logs)?;
            Ok(HeartbeatItem { fence, update, cancel_acknowledged: report.cancel_acknowledged })
        };
        let items = request.attempts.into_iter().enumerate().map(beat);
        let items: Vec<HeartbeatItem> = items.collect::<Result<_, AppError>>()?;
        let fences: Vec<Fence> = items.iter().map(|beat| beat.fence.clone()).collect();
        let interval = self.terms.heartbeat.min(LONGEST_HEARTBEAT);
        let wait = wait(request.wait)?.unwrap_or_default().min(interval);
        // A stopping server says so at once.
        let wait = if self.stopping.draining.is_cancelled() { Duration::ZERO } else { wait };
        let statuses = self.app.heartbeat(&request.worker_id, items, wait).await?;
        let state = |fence: &Fence| {
            let lease_status = statuses.get(fence);
            proto::AttemptState {
                attempt: Some(to_attempt(fence)),
                lease_lost: lease_status.is_none(),
                cancel_requested: lease_status.is_some_and(|status| status.cancel_requested),
                expires_in: lease_status.and_then(|status| to_duration(status.expires_in)),
            }
        };
        Ok(proto::HeartbeatResponse {
            attempts: fences.iter().map(state).collect(),
            heartbeat_interval: to_duration(interval),
            draining: self.stopping.draining.is_cancelled(),
        })
    }

    async fn finish(
        &self,
        request: proto::FinishScrapingJobRequest,
    ) -> Result<proto::FinishScrapingJobResponse, AppError> {
        let fence = fence("attempt", request.attempt)?;
        let update = self.update("", request.location_results, request.logs)?;
        let reason = convert::text("error_message", request.error_message)?;
        let outcome = match proto::AttemptOutcome::try_from(request.outcome) {
            Ok(proto::AttemptOutcome::Done) => Outcome::Done,
            Ok(proto::AttemptOutcome::Failed) if reason.is_empty() => {
                return Err(AppError::invalid("error_message", "is required by FAILED"));
            }
            Ok(proto::AttemptOutcome::Failed) => {
                Outcome::Failed { reason: reason.clone(), permanent: request.permanent }
            }
            Ok(proto::AttemptOutcome::Cancelled) => Outcome::Cancelled,
            Ok(proto::AttemptOutcome::Released) => Outcome::Released,
            Ok(proto::AttemptOutcome::Unspecified) => {
                return Err(AppError::invalid("outcome", "is required"));
            }
            Err(_) => {
                let text = format!("{} is not an outcome", request.outcome);
                return Err(AppError::invalid("outcome", text));
            }
        };
        if !matches!(outcome, Outcome::Failed { .. }) && !reason.is_empty() {
            return Err(AppError::invalid("error_message", "is only for FAILED"));
        }
        let run = self.app.finish(&fence, outcome, update).await?;
        Ok(proto::FinishScrapingJobResponse { scraping_job: Some(to_run(&run)) })
    }

    fn update(
        &self,
        path: &str,
        results: Vec<proto::LocationResult>,
        logs: Vec<proto::ScrapingJobLog>,
    ) -> Result<AttemptUpdate, AppError> {
        let result = |(index, result): (usize, proto::LocationResult)| {
            let field = format!("{path}location_results[{index}]");
            let reason = convert::text(&format!("{field}.error_message"), result.error_message)?;
            let reason: String = reason.chars().take(REASON_LENGTH).collect();
            let permanent = result.permanent;
            Ok(LocationResult {
                location: convert::location(&format!("{field}.location"), result.location)?,
                failure: (!reason.is_empty()).then_some(Failure { reason, permanent }),
            })
        };
        Ok(AttemptUpdate {
            results: results
                .into_iter()
                .enumerate()
                .map(result)
                .collect::<Result<_, AppError>>()?,
            lines: logs::lines(&self.app, &format!("{path}logs"), logs)?,
        })
    }
}

async fn submit(
    workers: &Workers,
    request: proto::SubmitPropertiesRequest,
) -> Result<proto::SubmitPropertiesResponse, AppError> {
    let fence = fence("attempt", request.attempt)?;
    if request.properties.len() > BATCH {
        return Err(AppError::invalid("properties", format!("has more than {BATCH}")));
    }
    if request.scraped_before < 0 {
        return Err(AppError::invalid("scraped_before", "must not be negative"));
    }
    let rows = request.properties.into_iter().enumerate().map(property);
    let report = Report {
        scraped_before: request.scraped_before,
        rows: rows.collect::<Result<_, _>>()?,
        update: workers.update("", request.location_results, request.logs)?,
    };
    let run = workers.app.submit_properties(&fence, report).await?;
    Ok(proto::SubmitPropertiesResponse {
        attempt: Some(to_attempt(&fence)),
        properties_scraped: run.state.counts.scraped,
        cancel_requested: run.state.cancel_requested_at.is_some(),
    })
}

fn property(
    (index, property): (usize, proto::ScrapedProperty),
) -> Result<ScrapedProperty, AppError> {
    let path = |name: &str| format!("properties[{index}].{name}");
    let length = property.property_id.chars().count();
    if !(1..=PROPERTY_ID_LENGTH).contains(&length) || property.property_id.contains('\0') {
        let text = format!("must have 1 to {PROPERTY_ID_LENGTH} characters");
        return Err(AppError::invalid(&path("property_id"), text));
    }
    let body = values::body(property.body.unwrap_or_default());
    Ok(ScrapedProperty {
        property_id: property.property_id,
        location: convert::location(&path("location"), property.location)?,
        body: body.map_err(|text| AppError::invalid(&path("body"), text))?,
    })
}

fn check_worker_id(id: &str) -> Result<(), AppError> {
    let is_form =
        (1..=WORKER_ID_LENGTH).contains(&id.len()) && id.chars().all(|c| c.is_ascii_graphic());
    if is_form {
        return Ok(());
    }
    let text = format!("must have 1 to {WORKER_ID_LENGTH} printable ASCII characters");
    Err(AppError::invalid("worker_id", text))
}

fn wait(wait: Option<prost_types::Duration>) -> Result<Option<Duration>, AppError> {
    let wait = convert::duration("wait", wait)?;
    if wait.is_some_and(|wait| wait > LONGEST_WAIT) {
        return Err(AppError::invalid("wait", "must be at most 30 seconds"));
    }
    Ok(wait)
}

fn fence(field: &str, attempt: Option<proto::Attempt>) -> Result<Fence, AppError> {
    let attempt = attempt.ok_or_else(|| AppError::invalid(field, "is required"))?;
    if attempt.attempt < 1 {
        return Err(AppError::invalid(&format!("{field}.attempt"), "must be at least 1"));
    }
    let run = convert::run_id(&format!("{field}.job_id"), &attempt.job_id)?;
    Ok(Fence { run, attempt: attempt.attempt })
}

fn to_attempt(fence: &Fence) -> proto::Attempt {
    proto::Attempt { job_id: fence.run.to_string(), attempt: fence.attempt }
}

fn to_lease(run: &Run, now: DateTime<Utc>) -> proto::Lease {
    let until = |at: DateTime<Utc>| to_duration((at - now).to_std().unwrap_or_default());
    let lease = run.state.lease.as_ref();
    proto::Lease {
        scraping_job: Some(to_run(run)),
        locations: run.remaining_locations(),
        expires_in: lease.and_then(|lease| until(lease.expires_at)),
        attempt_expires_in: lease.and_then(|lease| until(lease.latest_at)),
        reference_time: Some(to_time(run.spec.reference_time())),
    }
}

#[async_trait]
impl WorkerService for Workers {
    type SubmitPropertiesStream = Pin<Box<dyn Stream<Item = Submitted> + Send>>;

    async fn lease_scraping_jobs(
        &self,
        request: Request<proto::LeaseScrapingJobsRequest>,
    ) -> Result<Response<proto::LeaseScrapingJobsResponse>, Status> {
        self.lease(request.into_inner()).await.map(Response::new).map_err(status)
    }

    async fn heartbeat(
        &self,
        request: Request<proto::HeartbeatRequest>,
    ) -> Result<Response<proto::HeartbeatResponse>, Status> {
        Workers::heartbeat(self, request.into_inner()).await.map(Response::new).map_err(status)
    }

    async fn submit_properties(
        &self,
        request: Request<Streaming<proto::SubmitPropertiesRequest>>,
    ) -> Result<Response<Self::SubmitPropertiesStream>, Status> {
        let workers = self.clone();
        // One batch after the other; the first that is refused is the last one.
        let answers = stream::unfold(Some(request.into_inner()), move |batches| {
            let workers = workers.clone();
            async move {
                let mut batches = batches?;
                let answer = match batches.next().await? {
                    Ok(batch) => submit(&workers, batch).await.map_err(status),
                    Err(broken) => Err(broken),
                };
                let rest = answer.is_ok().then_some(batches);
                Some((answer, rest))
            }
        });
        let answers = super::until_closing(answers, self.stopping.closing.clone());
        Ok(Response::new(Box::pin(answers)))
    }

    async fn finish_scraping_job(
        &self,
        request: Request<proto::FinishScrapingJobRequest>,
    ) -> Result<Response<proto::FinishScrapingJobResponse>, Status> {
        self.finish(request.into_inner()).await.map(Response::new).map_err(status)
    }
}
