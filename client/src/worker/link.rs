//! A worker's calls over gRPC.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio_stream::StreamExt;
use tonic::{Code, Request, Response, Status};
use windrow_worker::{
    AttemptId, AttemptUpdate, HeartbeatItem, LeaseStatus, LeasedRun, Level, Outcome, Report,
    ScrapedRow, TransportError, WorkerTransport,
};

use super::json;
use crate::endpoints::Route;
use crate::{Client, Error, proto};

/// How long a lease waits for work. A stop waits as long.
const WAIT: Duration = Duration::from_secs(5);
/// Before the next lease when a server stops: perhaps they all do.
const DRAINING_PAUSE: Duration = Duration::from_millis(500);
/// What an answer may take.
const ANSWER: Duration = Duration::from_secs(10);
const HEARTBEAT: Duration = Duration::from_secs(3);
const SUBMIT: Duration = Duration::from_secs(30);
/// The server's default for the pause between two locations.
const REQUEST_DELAY: Duration = Duration::from_secs(1);
/// The server's default for the listings of a location.
const LIMIT: u32 = 10_000;

pub(super) struct GrpcTransport {
    client: Client,
    worker_id: String,
    sources: Vec<String>,
    heartbeat_ms: AtomicU64,
}

impl GrpcTransport {
    pub(super) fn new(client: Client, worker_id: String, sources: Vec<String>) -> Self {
        // The set comes from the compiler of this very crate.
        Self { client, worker_id, sources, heartbeat_ms: AtomicU64::new(1_000) }
    }

    fn told_interval(&self, interval: Option<prost_types::Duration>) {
        let interval = length(interval).clamp(Duration::from_millis(100), Duration::from_mins(1));
        let millis = u64::try_from(interval.as_millis()).unwrap_or(1_000);
        self.heartbeat_ms.store(millis, Ordering::Relaxed);
    }

    fn failed(&self, route: &Route, status: Status) -> TransportError {
        self.client.failed(route, &status);
        let error = Error::from_status(route.server(), status);
        if matches!(error.reason(), Some("LEASE_LOST" | "RUN_NOT_FOUND")) {
            return TransportError::LeaseLost;
        }
        match error.code() {
            Code::InvalidArgument
            | Code::NotFound
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::Unimplemented => TransportError::Refused(Box::new(error)),
            _ => TransportError::Transient(Box::new(error)),
        }
    }

    fn answer<T>(
        &self,
        route: &Route,
        answer: Result<Response<T>, Status>,
    ) -> Result<T, TransportError> {
        answer.map(Response::into_inner).map_err(|status| self.failed(route, status))
    }

    fn assignment(lease: proto::Lease) -> Option<LeasedRun> {
        let run = lease.scraping_job?;
        let parameters = run.parameters.clone().unwrap_or_default();
        let kinds = parameters.listing_types();
        let kind = |kind: proto::ListingType| kind.as_str_name().replace("LISTING_TYPE_", "");
        let origin = run.origin().as_str_name().replace("SCRAPING_JOB_ORIGIN_", "").to_lowercase();
        Some(LeasedRun {
            id: AttemptId { job_id: run.job_id, attempt: run.attempt },
            source: parameters.source.clone().unwrap_or_default(),
            locations: lease.locations,
            request_delay: match parameters.request_delay {
                Some(delay) => length(Some(delay)),
                None => REQUEST_DELAY,
            },
            scraped: run.properties_scraped,
            expires_in: length(lease.expires_in),
            attempt_expires_in: length(lease.attempt_expires_in),
            scheduled_job_id: Some(run.scheduled_job_id).filter(|id| !id.is_empty()),
            origin,
            tick_at: run.tick_at.and_then(time),
            reference_time: lease.reference_time.and_then(time).unwrap_or(DateTime::UNIX_EPOCH),
            parameters: json::parameters(&parameters),
            listing_types: kinds.map(kind).collect(),
            limit: parameters.limit.and_then(|limit| limit.try_into().ok()).unwrap_or(LIMIT),
        })
    }
}

#[async_trait]
impl WorkerTransport for GrpcTransport {
    async fn lease(
        &self,
        room: usize,
        held: Vec<AttemptId>,
    ) -> Result<Vec<LeasedRun>, TransportError> {
        let mut request = Request::new(proto::LeaseScrapingJobsRequest {
            worker_id: self.worker_id.clone(),
            sources: self.sources.clone(),
            capacity: i32::try_from(room.min(100)).unwrap_or(1),
            wait: WAIT.try_into().ok(),
            held_attempts: held.iter().map(attempt).collect(),
        });
        request.set_timeout(WAIT + ANSWER);
        let route = self.client.route();
        let leased = self.answer(&route, route.workers().lease_scraping_jobs(request).await)?;
        self.told_interval(leased.heartbeat_interval);
        if leased.draining && leased.leases.is_empty() {
            self.client.leave(&route);
            tokio::time::sleep(DRAINING_PAUSE).await;
        }
        Ok(leased.leases.into_iter().filter_map(Self::assignment).collect())
    }

    async fn heartbeat(
        &self,
        held: Vec<HeartbeatItem>,
        wait: Duration,
    ) -> Result<Vec<(AttemptId, LeaseStatus)>, TransportError> {
        let report = |beat: &HeartbeatItem| proto::AttemptReport {
            attempt: Some(attempt(&beat.id)),
            cancel_acknowledged: beat.cancel_acknowledged,
            ..Default::default()
        };
        let mut request = Request::new(proto::HeartbeatRequest {
            worker_id: self.worker_id.clone(),
            attempts: held.iter().map(report).collect(),
            wait: wait.try_into().ok(),
        });
        request.set_timeout(wait + HEARTBEAT);
        let route = self.client.route();
        let told = self.answer(&route, route.workers().heartbeat(request).await)?;
        self.told_interval(told.heartbeat_interval);
        if told.draining {
            self.client.leave(&route);
        }
        let lease_status = |state: proto::AttemptState| {
            let id = state.attempt?;
            let id = AttemptId { job_id: id.job_id, attempt: id.attempt };
            let lease_status = LeaseStatus {
                cancel_requested: state.cancel_requested,
                expires_in: length(state.expires_in),
            };
            (!state.lease_lost).then_some((id, lease_status))
        };
        Ok(told.attempts.into_iter().filter_map(lease_status).collect())
    }

    async fn submit(&self, id: &AttemptId, report: &Report) -> Result<i64, TransportError> {
        let batch = proto::SubmitPropertiesRequest {
            attempt: Some(attempt(id)),
            scraped_before: report.scraped_before,
            properties: report.rows.iter().map(property).collect(),
            location_results: results(&report.update),
            logs: logs(&report.update),
        };
        // A stream for each batch: a report waits for its answer anyway.
        let mut request = Request::new(tokio_stream::once(batch));
        request.set_timeout(SUBMIT);
        let route = self.client.route();
        let mut answers = self.answer(&route, route.workers().submit_properties(request).await)?;
        match tokio::time::timeout(SUBMIT, answers.next()).await {
            Ok(Some(Ok(answer))) => Ok(answer.properties_scraped),
            Ok(Some(Err(status))) => Err(self.failed(&route, status)),
            Ok(None) => Err(self.failed(&route, Status::unavailable("the answer got lost"))),
            Err(late) => Err(self.failed(&route, Status::deadline_exceeded(late.to_string()))),
        }
    }

    async fn finish(
        &self,
        id: &AttemptId,
        outcome: &Outcome,
        update: &AttemptUpdate,
    ) -> Result<String, TransportError> {
        let (outcome, error_message, permanent) = match outcome.clone() {
            Outcome::Done => (proto::AttemptOutcome::Done, String::new(), false),
            Outcome::Failed { reason, permanent } => {
                (proto::AttemptOutcome::Failed, reason, permanent)
            }
            Outcome::Cancelled => (proto::AttemptOutcome::Cancelled, String::new(), false),
            Outcome::Released => (proto::AttemptOutcome::Released, String::new(), false),
        };
        let mut request = Request::new(proto::FinishScrapingJobRequest {
            attempt: Some(attempt(id)),
            outcome: outcome.into(),
            error_message,
            permanent,
            location_results: results(update),
            logs: logs(update),
        });
        request.set_timeout(ANSWER);
        let route = self.client.route();
        let ended = self.answer(&route, route.workers().finish_scraping_job(request).await)?;
        let status = ended.scraping_job.unwrap_or_default().status();
        Ok(status.as_str_name().replace("SCRAPING_JOB_STATUS_", "").to_lowercase())
    }

    fn heartbeat_interval(&self) -> Duration {
        Duration::from_millis(self.heartbeat_ms.load(Ordering::Relaxed))
    }

    #[expect(clippy::disallowed_methods, reason = "a worker's own clock stamps its log")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

fn attempt(id: &AttemptId) -> proto::Attempt {
    proto::Attempt { job_id: id.job_id.clone(), attempt: id.attempt }
}

fn property((location, row): &(String, ScrapedRow)) -> proto::ScrapedProperty {
    proto::ScrapedProperty {
        property_id: row.property_id.clone(),
        location: location.clone(),
        body: Some(windrow::json::to_struct(row.body.clone())),
    }
}

fn results(update: &AttemptUpdate) -> Vec<proto::LocationResult> {
    let result = |result: &windrow_worker::LocationResult| {
        let (error_message, permanent) = result.failure.clone().unwrap_or_default();
        proto::LocationResult { location: result.location.clone(), error_message, permanent }
    };
    update.results.iter().map(result).collect()
}

fn logs(update: &AttemptUpdate) -> Vec<proto::ScrapingJobLog> {
    let line = |line: &windrow_worker::Line| {
        let level = match line.level {
            Level::Debug => proto::ScrapingJobLogLevel::Debug,
            Level::Info => proto::ScrapingJobLogLevel::Info,
            Level::Warning => proto::ScrapingJobLogLevel::Warning,
            Level::Error => proto::ScrapingJobLogLevel::Error,
        };
        proto::ScrapingJobLog {
            location: line.location.clone(),
            logged_at: Some(prost_types::Timestamp {
                seconds: line.logged_at.timestamp(),
                nanos: i32::try_from(line.logged_at.timestamp_subsec_nanos()).unwrap_or(0),
            }),
            level: level.into(),
            text: line.text.clone(),
            sequence: line.sequence,
            ..Default::default()
        }
    };
    update.lines.iter().map(line).collect()
}

/// Nothing if absent.
fn length(length: Option<prost_types::Duration>) -> Duration {
    length.and_then(|length| length.try_into().ok()).unwrap_or_default()
}

fn time(time: prost_types::Timestamp) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(time.seconds, u32::try_from(time.nanos).ok()?)
}
