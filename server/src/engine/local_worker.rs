//! The server's own worker: calls the use cases that remote workers call over gRPC.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio::time::timeout;
use windrow_worker::{
    AttemptId, AttemptUpdate, HeartbeatItem, LeaseStatus, LeasedRun, Outcome, Report,
    TransportError, WorkerTransport,
};

use crate::app::{App, AppError, Holder, LeaseRequest, heartbeat_interval};
use crate::domain::id::RunId;
use crate::domain::parameters::{DEFAULT_REQUEST_DELAY, LIMIT};
use crate::domain::run::Run;
use crate::sources::{listing_type_name, parameters_json};

/// Maximum wait of a call that leases runs.
const LEASE_WAIT: Duration = Duration::from_secs(1);

/// Connects a worker in this process to the use cases.
pub struct LocalTransport {
    app: Arc<App>,
    worker_id: String,
    sources: BTreeSet<String>,
    lease: Duration,
    heartbeat: Duration,
}

impl LocalTransport {
    /// Leases runs of `sources` as `worker_id`. A lease lasts for `lease` unless a run's policy sets another
    /// time; heartbeats follow at most `heartbeat` apart.
    pub fn new(
        app: Arc<App>,
        worker_id: String,
        sources: BTreeSet<String>,
        lease: Duration,
        heartbeat: Duration,
    ) -> Self {
        Self { app, worker_id, sources, lease, heartbeat: heartbeat_interval(heartbeat) }
    }

    fn holder(&self, attempt: &AttemptId) -> Holder {
        Holder { worker_id: Some(self.worker_id.clone()), attempt: attempt.clone() }
    }
}

#[async_trait]
impl WorkerTransport for LocalTransport {
    async fn lease(
        &self,
        capacity: usize,
        held: Vec<AttemptId>,
    ) -> Result<Vec<LeasedRun>, TransportError> {
        let request = LeaseRequest {
            worker_id: &self.worker_id,
            sources: &self.sources,
            capacity,
            lease: self.lease,
            held: &held,
        };
        let now = self.app.now();
        let runs = self.app.lease_runs_within(&request, LEASE_WAIT).await?;
        Ok(runs.iter().map(|run| leased_run(run, now)).collect())
    }

    async fn heartbeat(
        &self,
        items: Vec<HeartbeatItem>,
        wait: Duration,
    ) -> Result<BTreeMap<AttemptId, LeaseStatus>, TransportError> {
        // A database that does not respond must not block the next heartbeats for a whole lease.
        let time = wait + self.lease / 4;
        let statuses = timeout(time, self.app.heartbeat(&self.worker_id, items, wait)).await;
        Ok(statuses.map_err(|elapsed| TransportError::NoDatabase(Box::new(elapsed)))??)
    }

    async fn submit(&self, attempt: &AttemptId, report: &Report) -> Result<i64, TransportError> {
        Ok(self
            .app
            .submit_properties(&self.holder(attempt), report.clone())
            .await?
            .state
            .counts
            .scraped)
    }

    async fn finish(
        &self,
        attempt: &AttemptId,
        outcome: &Outcome,
        update: &AttemptUpdate,
    ) -> Result<String, TransportError> {
        let run = self.app.finish(&self.holder(attempt), outcome.clone(), update.clone()).await?;
        Ok(run.state.status.to_string())
    }

    async fn sign_off(&self) -> Result<(), TransportError> {
        Ok(self.app.forget_worker(&self.worker_id).await?)
    }

    fn heartbeat_interval(&self) -> Duration {
        self.heartbeat
    }

    async fn changed_since(
        &self,
        run: &LeasedRun,
        full_every: u32,
    ) -> Result<Option<DateTime<Utc>>, TransportError> {
        let Ok(id) = RunId::parse(&run.id.job_id) else { return Ok(None) };
        let run = self.app.get_run(&id).await?;
        Ok(self.app.changed_since(&run, full_every).await?)
    }

    fn now(&self) -> DateTime<Utc> {
        self.app.now()
    }
}

fn leased_run(run: &Run, now: DateTime<Utc>) -> LeasedRun {
    let until = |at: DateTime<Utc>| (at - now).to_std().unwrap_or_default();
    let (lease, parameters) = (run.state.lease.as_ref(), &run.spec.parameters);
    LeasedRun {
        id: AttemptId { job_id: run.spec.id.to_string(), attempt: run.state.attempt },
        source: parameters.source.clone().unwrap_or_default(),
        locations: run.locations_to_scrape(),
        request_delay: parameters.request_delay.unwrap_or(DEFAULT_REQUEST_DELAY),
        scraped: run.state.counts.scraped,
        expires_in: lease.map_or(Duration::ZERO, |lease| until(lease.expires_at)),
        attempt_expires_in: lease.map_or(Duration::ZERO, |lease| until(lease.latest_at)),
        scheduled_job_id: run.spec.scheduled_job_id.as_ref().map(ToString::to_string),
        origin: run.spec.origin.to_string(),
        tick_at: run.spec.tick_at,
        reference_time: run.spec.reference_time(),
        parameters: parameters_json(parameters),
        listing_types: parameters
            .listing_types
            .iter()
            .map(|kind| listing_type_name(*kind))
            .collect(),
        limit: u32::try_from(parameters.limit.unwrap_or(LIMIT)).unwrap_or(u32::MAX),
    }
}

impl From<AppError> for TransportError {
    fn from(error: AppError) -> Self {
        match error {
            AppError::LeaseLost { .. } | AppError::RunNotFound(_) => Self::LeaseLost,
            AppError::Store(error) if error.is_unavailable() => Self::NoDatabase(Box::new(error)),
            AppError::Store(error) if error.is_transient() => Self::Transient(Box::new(error)),
            error => Self::Rejected(Box::new(error)),
        }
    }
}
