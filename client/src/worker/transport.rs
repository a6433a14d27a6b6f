//! A worker's calls over gRPC.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::future::try_join_all;
use futures::{StreamExt, stream};
use tonic::{Code, Request, Response, Status};
use windrow_worker::{
    AttemptId, AttemptUpdate, HeartbeatItem, LeaseStatus, LeasedRun, Outcome, Report,
    TransportError, WorkerTransport,
};

use super::convert::{attempt, attempt_report, batch, duration, finish, lease_status, leased_run};
use crate::endpoints::Route;
use crate::{Client, Error, proto, reason};

/// Maximum wait of a call that leases runs. A stop may take as long.
const LEASE_WAIT: Duration = Duration::from_secs(5);
/// Pause before the next lease call while a server shuts down: all of them may do so.
const DRAINING_PAUSE: Duration = Duration::from_millis(500);
/// Timeout of a call in addition to its wait.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(3);
const SUBMIT_TIMEOUT: Duration = Duration::from_secs(30);
/// Bounds of the server's heartbeat interval, against a wrong one.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);
const LONGEST_INTERVAL: Duration = Duration::from_mins(1);
/// Maximum number of attempts of one heartbeat.
const HEARTBEAT_ATTEMPTS: usize = 100;
/// Maximum capacity of one call.
const LEASE_CAPACITY: usize = 100;

pub(super) struct GrpcTransport {
    client: Client,
    worker_id: String,
    sources: Vec<String>,
    heartbeat_ms: AtomicU64,
}

impl GrpcTransport {
    pub(super) fn new(client: Client, worker_id: String, sources: Vec<String>) -> Self {
        Self { client, worker_id, sources, heartbeat_ms: AtomicU64::new(1_000) }
    }

    async fn heartbeat_once(
        &self,
        items: &[HeartbeatItem],
        wait: Duration,
    ) -> Result<Vec<(AttemptId, LeaseStatus)>, TransportError> {
        let mut request = Request::new(proto::HeartbeatRequest {
            worker_id: self.worker_id.clone(),
            attempts: items.iter().map(attempt_report).collect(),
            wait: wait.try_into().ok(),
            stopping: false,
        });
        request.set_timeout(wait + HEARTBEAT_TIMEOUT);
        let route = self.client.route();
        let response = self.response(&route, route.workers().heartbeat(request).await)?;
        self.set_interval(response.heartbeat_interval);
        if response.draining {
            self.client.leave(&route);
        }
        Ok(response.attempts.into_iter().filter_map(lease_status).collect())
    }

    fn set_interval(&self, interval: Option<prost_types::Duration>) {
        let interval = duration(interval).clamp(SHORTEST_INTERVAL, LONGEST_INTERVAL);
        let millis = u64::try_from(interval.as_millis()).unwrap_or(1_000);
        self.heartbeat_ms.store(millis, Ordering::Relaxed);
    }

    fn response<T>(
        &self,
        route: &Route,
        response: Result<Response<T>, Status>,
    ) -> Result<T, TransportError> {
        response.map(Response::into_inner).map_err(|status| self.error(route, status))
    }

    fn error(&self, route: &Route, status: Status) -> TransportError {
        self.client.failed(route, &status);
        let error = Error::from_status(route.endpoint(), status);
        match error.reason() {
            Some(reason::LEASE_LOST | reason::RUN_NOT_FOUND) => return TransportError::LeaseLost,
            Some(reason::DATABASE_UNAVAILABLE) => {
                return TransportError::NoDatabase(Box::new(error));
            }
            _ => {}
        }
        match error.code() {
            Code::InvalidArgument
            | Code::NotFound
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::Unimplemented => TransportError::Rejected(Box::new(error)),
            _ => TransportError::Transient(Box::new(error)),
        }
    }
}

#[async_trait]
impl WorkerTransport for GrpcTransport {
    async fn lease(
        &self,
        capacity: usize,
        held: Vec<AttemptId>,
    ) -> Result<Vec<LeasedRun>, TransportError> {
        let mut request = Request::new(proto::LeaseScrapingJobsRequest {
            worker_id: self.worker_id.clone(),
            sources: self.sources.clone(),
            capacity: i32::try_from(capacity.min(LEASE_CAPACITY)).unwrap_or(1),
            wait: LEASE_WAIT.try_into().ok(),
            held: held.iter().map(attempt).collect(),
        });
        request.set_timeout(LEASE_WAIT + CALL_TIMEOUT);
        let route = self.client.route();
        let leased = self.response(&route, route.workers().lease_scraping_jobs(request).await)?;
        self.set_interval(leased.heartbeat_interval);
        if leased.draining && leased.leases.is_empty() {
            self.client.leave(&route);
            tokio::time::sleep(DRAINING_PAUSE).await;
        }
        Ok(leased.leases.into_iter().filter_map(leased_run).collect())
    }

    async fn heartbeat(
        &self,
        items: Vec<HeartbeatItem>,
        wait: Duration,
    ) -> Result<BTreeMap<AttemptId, LeaseStatus>, TransportError> {
        let calls = items.chunks(HEARTBEAT_ATTEMPTS).map(|items| self.heartbeat_once(items, wait));
        Ok(try_join_all(calls).await?.into_iter().flatten().collect())
    }

    async fn submit(&self, id: &AttemptId, report: &Report) -> Result<i64, TransportError> {
        // One stream per batch: a report waits for its response anyway.
        let batch = batch(&self.worker_id, id, report);
        let mut request = Request::new(stream::iter([batch]));
        request.set_timeout(SUBMIT_TIMEOUT);
        let route = self.client.route();
        let mut responses =
            self.response(&route, route.workers().submit_properties(request).await)?;
        match tokio::time::timeout(SUBMIT_TIMEOUT, responses.next()).await {
            Ok(Some(Ok(response))) => Ok(response.properties_scraped),
            Ok(Some(Err(status))) => Err(self.error(&route, status)),
            Ok(None) => Err(self.error(&route, Status::unavailable("the response was lost"))),
            Err(elapsed) => Err(self.error(&route, Status::deadline_exceeded(elapsed.to_string()))),
        }
    }

    async fn finish(
        &self,
        id: &AttemptId,
        outcome: &Outcome,
        update: &AttemptUpdate,
    ) -> Result<String, TransportError> {
        let mut request = Request::new(finish(&self.worker_id, id, outcome, update));
        request.set_timeout(CALL_TIMEOUT);
        let route = self.client.route();
        let response = self.response(&route, route.workers().finish_scraping_job(request).await)?;
        let status = response.scraping_job.unwrap_or_default().status();
        Ok(status.as_str_name().replace("SCRAPING_JOB_STATUS_", "").to_lowercase())
    }

    async fn sign_off(&self) -> Result<(), TransportError> {
        let mut request = Request::new(proto::HeartbeatRequest {
            worker_id: self.worker_id.clone(),
            stopping: true,
            ..Default::default()
        });
        request.set_timeout(HEARTBEAT_TIMEOUT);
        let route = self.client.route();
        self.response(&route, route.workers().heartbeat(request).await).map(drop)
    }

    fn heartbeat_interval(&self) -> Duration {
        Duration::from_millis(self.heartbeat_ms.load(Ordering::Relaxed))
    }

    #[expect(clippy::disallowed_methods, reason = "the worker's clock stamps the lines of its log")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}
