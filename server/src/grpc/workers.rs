//! `WorkerService`. The proto files are its specification.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use tonic::{Code, Request, Response, Status, Streaming, async_trait};
use windrow::v1 as proto;
use windrow::v1::worker_service_server::WorkerService;
use windrow_worker::{AttemptId, HeartbeatItem};

use super::Shutdown;
use super::attempts::{attempt_id, finish, heartbeat_item, report, to_attempt, to_lease, to_state};
use super::convert::{self, to_duration, to_run};
use super::status::{invalid, status};
use crate::app::{App, AppError, Holder, LeaseRequest, heartbeat_interval};
use crate::domain::violation::Violation;

const DEFAULT_WAIT: Duration = Duration::from_secs(20);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Maximum sources, runs and attempts of a worker.
const WORKER_LIMIT: usize = 100;
/// More than the heartbeats of a worker can keep.
const HELD_LIMIT: usize = 1_000;
const WORKER_ID_LENGTH: usize = 200;

type Submitted = Result<proto::SubmitPropertiesResponse, Status>;

#[derive(Clone)]
pub(super) struct Workers {
    app: Arc<App>,
    shutdown: Shutdown,
    timing: WorkerTiming,
}

/// The timing that workers get with their leases.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WorkerTiming {
    /// Duration of a lease, unless a run's policy sets another.
    pub(crate) lease: Duration,
    /// Maximum interval between heartbeats.
    pub(crate) heartbeat: Duration,
}

impl Workers {
    pub(super) fn new(app: Arc<App>, shutdown: Shutdown, timing: WorkerTiming) -> Self {
        Self { app, shutdown, timing }
    }

    async fn lease(
        &self,
        request: proto::LeaseScrapingJobsRequest,
    ) -> Result<proto::LeaseScrapingJobsResponse, AppError> {
        check_worker_id(&request.worker_id)?;
        let sources = self.sources(request.sources)?;
        let capacity = usize::try_from(request.capacity).unwrap_or(0);
        if !(1..=WORKER_LIMIT).contains(&capacity) {
            return Err(AppError::invalid("capacity", format!("must be 1 to {WORKER_LIMIT}")));
        }
        let wait = wait(request.wait)?.unwrap_or(DEFAULT_WAIT);
        if request.held.len() > HELD_LIMIT {
            return Err(AppError::invalid(
                "held",
                format!("must have at most {HELD_LIMIT} entries"),
            ));
        }
        let held = request.held.into_iter().enumerate();
        let held: Vec<AttemptId> = held
            .map(|(index, attempt)| attempt_id(&format!("held[{index}]"), Some(attempt)))
            .collect::<Result<_, _>>()?;
        let lease = LeaseRequest {
            worker_id: &request.worker_id,
            sources: &sources,
            capacity,
            lease: self.timing.lease,
            held: &held,
        };
        let now = self.app.now();
        // A server that shuts down leases no more runs: they stay pending.
        let runs = tokio::select! {
            biased;
            () = self.shutdown.draining.cancelled() => Vec::new(),
            leased = self.app.lease_runs_within(&lease, wait) => leased?,
        };
        Ok(proto::LeaseScrapingJobsResponse {
            leases: runs.iter().map(|run| to_lease(run, now)).collect(),
            heartbeat_interval: to_duration(heartbeat_interval(self.timing.heartbeat)),
            draining: self.shutdown.draining.is_cancelled(),
        })
    }

    fn sources(&self, names: Vec<String>) -> Result<BTreeSet<String>, AppError> {
        if names.is_empty() || names.len() > WORKER_LIMIT {
            let text = format!("must have 1 to {WORKER_LIMIT} names");
            return Err(AppError::invalid("sources", text));
        }
        let known = self.app.sources();
        let refused = |(index, name): (usize, &String)| {
            let name: String = name.chars().take(64).collect();
            // Two programs under one name would mix their results, and nobody could tell who found what.
            let what = if known.names.contains(&name) {
                "is a source that this server executes itself"
            } else {
                "is not a source of this server"
            };
            let text = format!(
                "'{name}' {what}; declare `[sources.{name}]` with `kind = \"worker\"` in windrow.toml"
            );
            AppError::invalid(&format!("sources[{index}]"), text)
        };
        let is_remote =
            |name: &String| known.names.contains(name) && !known.executed.contains(name);
        match names.iter().enumerate().find(|(_, name)| !is_remote(name)) {
            Some(found) => Err(refused(found)),
            None => Ok(names.into_iter().collect()),
        }
    }

    async fn heartbeat(
        &self,
        request: proto::HeartbeatRequest,
    ) -> Result<proto::HeartbeatResponse, AppError> {
        check_worker_id(&request.worker_id)?;
        if request.attempts.len() > WORKER_LIMIT {
            let text = format!("must have at most {WORKER_LIMIT} entries");
            return Err(AppError::invalid("attempts", text));
        }
        let now = self.app.now();
        let reports = request.attempts.into_iter().enumerate();
        let items: Vec<HeartbeatItem> = reports
            .map(|(index, report)| heartbeat_item(&format!("attempts[{index}]"), report, now))
            .collect::<Result<_, _>>()?;
        let ids: Vec<AttemptId> = items.iter().map(|item| item.id.clone()).collect();
        let interval = heartbeat_interval(self.timing.heartbeat);
        let wait = wait(request.wait)?.unwrap_or_default().min(interval);
        // A server that shuts down responds at once.
        let wait = if self.shutdown.draining.is_cancelled() { Duration::ZERO } else { wait };
        if request.stopping {
            self.app.forget_worker(&request.worker_id).await?;
        }
        let statuses = self.app.heartbeat(&request.worker_id, items, wait).await?;
        let state = |id: AttemptId| {
            let status = statuses.get(&id);
            to_state(id, status)
        };
        Ok(proto::HeartbeatResponse {
            attempts: ids.into_iter().map(state).collect(),
            heartbeat_interval: to_duration(interval),
            draining: self.shutdown.draining.is_cancelled(),
        })
    }

    async fn submit(
        &self,
        request: proto::SubmitPropertiesRequest,
    ) -> Result<proto::SubmitPropertiesResponse, AppError> {
        let holder = holder(&request.worker_id, request.attempt.clone())?;
        let report = report(request, self.app.now())?;
        let run = self.app.submit_properties(&holder, report).await?;
        Ok(proto::SubmitPropertiesResponse {
            attempt: Some(to_attempt(holder.attempt)),
            properties_scraped: run.state.counts.scraped,
            cancel_requested: run.state.cancel_requested_at.is_some(),
        })
    }

    async fn finish(
        &self,
        request: proto::FinishScrapingJobRequest,
    ) -> Result<proto::FinishScrapingJobResponse, AppError> {
        let holder = holder(&request.worker_id, request.attempt.clone())?;
        let (outcome, update) = finish(request, self.app.now())?;
        let run = self.app.finish(&holder, outcome, update).await?;
        Ok(proto::FinishScrapingJobResponse { scraping_job: Some(to_run(&run)) })
    }
}

fn holder(worker_id: &str, attempt: Option<proto::Attempt>) -> Result<Holder, AppError> {
    let worker_id = Some(worker_id.to_owned()).filter(|id| !id.is_empty());
    worker_id.as_deref().map_or(Ok(()), check_worker_id)?;
    Ok(Holder { worker_id, attempt: attempt_id("attempt", attempt)? })
}

/// A message that cannot be decoded, for example a body nested deeper than protobuf allows. tonic calls that an internal
/// error, which a worker would retry.
fn undecodable(broken: Status) -> Status {
    if broken.code() == Code::Internal && broken.message().contains("failed to decode") {
        return invalid(vec![Violation::new("properties", broken.message())]);
    }
    broken
}

fn check_worker_id(id: &str) -> Result<(), AppError> {
    let is_valid =
        (1..=WORKER_ID_LENGTH).contains(&id.len()) && id.chars().all(|c| c.is_ascii_graphic());
    if is_valid {
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
        // One batch after another. The stream ends with the first rejected one.
        let responses = stream::unfold(Some(request.into_inner()), move |batches| {
            let workers = workers.clone();
            async move {
                let mut batches = batches?;
                let response = match batches.next().await? {
                    Ok(batch) => workers.submit(batch).await.map_err(status),
                    Err(broken) => Err(undecodable(broken)),
                };
                let rest = response.is_ok().then_some(batches);
                Some((response, rest))
            }
        });
        let responses = super::until_closing(responses, self.shutdown.closing.clone());
        Ok(Response::new(Box::pin(responses)))
    }

    async fn finish_scraping_job(
        &self,
        request: Request<proto::FinishScrapingJobRequest>,
    ) -> Result<Response<proto::FinishScrapingJobResponse>, Status> {
        Workers::finish(self, request.into_inner()).await.map(Response::new).map_err(status)
    }
}
