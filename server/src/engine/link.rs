//! The server as a worker of its own: it leases, reports and finishes by the use cases that workers on
//! other machines call over gRPC.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio::time::timeout;
use windrow_worker::{
    AttemptId, AttemptUpdate as WorkerUpdate, HeartbeatItem as WorkerHeartbeatItem, LeaseStatus,
    LeasedRun, Level as WorkerLevel, Outcome as WorkerOutcome, Report as WorkerReport,
    TransportError, WorkerTransport,
};

use crate::app::{
    App, AppError, AttemptUpdate, Fence, HeartbeatItem, LeaseRequest, Outcome, Report,
    ScrapedProperty, parameters_json,
};
use crate::domain::id::RunId;
use crate::domain::log::{Level, Line};
use crate::domain::parameters::{DEFAULT_REQUEST_DELAY, LIMIT, ListingType};
use crate::domain::run::{Failure, LocationResult, Run};

/// How long one look for work waits.
const WAIT: Duration = Duration::from_secs(1);
/// Heartbeats are at most so far apart: what a lost hint costs a cancellation.
const LONGEST_HEARTBEAT: Duration = Duration::from_secs(1);
/// Longest reason of a failed location that is kept, in characters.
const REASON_LENGTH: usize = 300;

/// The use cases, as a worker in this process sees them.
pub struct LocalTransport {
    app: Arc<App>,
    worker_id: String,
    sources: BTreeSet<String>,
    lease: Duration,
    heartbeat: Duration,
}

impl LocalTransport {
    /// Leases as `worker_id`, for so long, runs of these sources.
    pub fn new(
        app: Arc<App>,
        worker_id: String,
        sources: BTreeSet<String>,
        lease: Duration,
        heartbeat: Duration,
    ) -> Self {
        Self { app, worker_id, sources, lease, heartbeat: heartbeat.min(LONGEST_HEARTBEAT) }
    }
}

#[async_trait]
impl WorkerTransport for LocalTransport {
    async fn lease(
        &self,
        room: usize,
        held: Vec<AttemptId>,
    ) -> Result<Vec<LeasedRun>, TransportError> {
        let held: Vec<Fence> = held.iter().filter_map(fence).collect();
        let request = LeaseRequest {
            worker_id: &self.worker_id,
            sources: &self.sources,
            capacity: room,
            lease: self.lease,
            held: &held,
        };
        let now = self.app.now();
        let runs = self.app.lease_runs_within(&request, WAIT).await.map_err(link_error)?;
        Ok(runs.iter().map(|run| assignment(run, now)).collect())
    }

    async fn heartbeat(
        &self,
        held: Vec<WorkerHeartbeatItem>,
        wait: Duration,
    ) -> Result<Vec<(AttemptId, LeaseStatus)>, TransportError> {
        let beat = |beat: &WorkerHeartbeatItem| {
            let (fence, update) = (fence(&beat.id)?, AttemptUpdate::default());
            Some(HeartbeatItem { fence, update, cancel_acknowledged: beat.cancel_acknowledged })
        };
        let items = held.iter().filter_map(beat).collect();
        // A database that does not answer must not hold the others' news back for longer than a lease.
        let patience = wait + self.lease / 4;
        let statuses = timeout(patience, self.app.heartbeat(&self.worker_id, items, wait)).await;
        let statuses = statuses.map_err(|late| TransportError::Transient(Box::new(late)))?;
        let told = |(fence, lease_status): (Fence, crate::app::LeaseStatus)| {
            let id = AttemptId { job_id: fence.run.to_string(), attempt: fence.attempt };
            let crate::app::LeaseStatus { cancel_requested, expires_in } = lease_status;
            (id, LeaseStatus { cancel_requested, expires_in })
        };
        Ok(statuses.map_err(link_error)?.into_iter().map(told).collect())
    }

    async fn submit(
        &self,
        attempt: &AttemptId,
        report: &WorkerReport,
    ) -> Result<i64, TransportError> {
        let rows = report.rows.iter().map(|(location, row)| ScrapedProperty {
            property_id: row.property_id.clone(),
            location: location.clone(),
            body: row.body.clone(),
        });
        let report = Report {
            scraped_before: report.scraped_before,
            rows: rows.collect(),
            update: update(&report.update),
        };
        let fence = fence(attempt).ok_or(TransportError::LeaseLost)?;
        let run = self.app.submit_properties(&fence, report).await.map_err(link_error)?;
        Ok(run.state.counts.scraped)
    }

    async fn finish(
        &self,
        attempt: &AttemptId,
        outcome: &WorkerOutcome,
        rest: &WorkerUpdate,
    ) -> Result<String, TransportError> {
        let outcome = match outcome.clone() {
            WorkerOutcome::Done => Outcome::Done,
            WorkerOutcome::Failed { reason, permanent } => Outcome::Failed { reason, permanent },
            WorkerOutcome::Cancelled => Outcome::Cancelled,
            WorkerOutcome::Released => Outcome::Released,
        };
        let fence = fence(attempt).ok_or(TransportError::LeaseLost)?;
        let run = self.app.finish(&fence, outcome, update(rest)).await.map_err(link_error)?;
        Ok(run.state.status.to_string())
    }

    fn heartbeat_interval(&self) -> Duration {
        self.heartbeat
    }

    async fn changed_since(
        &self,
        assignment: &LeasedRun,
        full_every: u32,
    ) -> Result<Option<DateTime<Utc>>, TransportError> {
        let Some(fence) = fence(&assignment.id) else { return Ok(None) };
        let run = self.app.get_run(&fence.run).await.map_err(link_error)?;
        self.app.changed_since(&run, full_every).await.map_err(link_error)
    }

    fn now(&self) -> DateTime<Utc> {
        self.app.now()
    }
}

fn assignment(run: &Run, now: DateTime<Utc>) -> LeasedRun {
    let name = |kind: &ListingType| kind.word().to_uppercase();
    let until = |at: DateTime<Utc>| (at - now).to_std().unwrap_or_default();
    let parameters = &run.spec.parameters;
    LeasedRun {
        id: AttemptId { job_id: run.spec.id.to_string(), attempt: run.state.attempt },
        source: parameters.source.clone().unwrap_or_default(),
        locations: run.remaining_locations(),
        request_delay: parameters.request_delay.unwrap_or(DEFAULT_REQUEST_DELAY),
        scraped: run.state.counts.scraped,
        expires_in: run
            .state
            .lease
            .as_ref()
            .map_or(Duration::ZERO, |lease| until(lease.expires_at)),
        attempt_expires_in: run
            .state
            .lease
            .as_ref()
            .map_or(Duration::ZERO, |lease| until(lease.latest_at)),
        scheduled_job_id: run.spec.scheduled_job_id.as_ref().map(ToString::to_string),
        origin: run.spec.origin.to_string(),
        tick_at: run.spec.tick_at,
        reference_time: run.spec.reference_time(),
        parameters: parameters_json(parameters),
        listing_types: parameters.listing_types.iter().map(name).collect(),
        limit: u32::try_from(parameters.limit.unwrap_or(LIMIT)).unwrap_or(u32::MAX),
    }
}

fn fence(id: &AttemptId) -> Option<Fence> {
    Some(Fence { run: RunId::parse(&id.job_id).ok()?, attempt: id.attempt })
}

fn update(update: &WorkerUpdate) -> AttemptUpdate {
    let result = |result: &windrow_worker::LocationResult| LocationResult {
        location: result.location.clone(),
        failure: result.failure.as_ref().map(|(reason, permanent)| Failure {
            reason: reason.chars().take(REASON_LENGTH).collect(),
            permanent: *permanent,
        }),
    };
    let line = |line: &windrow_worker::Line| Line {
        sequence: line.sequence,
        location: line.location.clone(),
        logged_at: line.logged_at,
        level: match line.level {
            WorkerLevel::Debug => Level::Debug,
            WorkerLevel::Info => Level::Info,
            WorkerLevel::Warning => Level::Warning,
            WorkerLevel::Error => Level::Error,
        },
        text: line.text.clone(),
    };
    AttemptUpdate {
        results: update.results.iter().map(result).collect(),
        lines: update.lines.iter().map(line).collect(),
    }
}

fn link_error(error: AppError) -> TransportError {
    match error {
        AppError::LeaseLost { .. } | AppError::RunNotFound(_) => TransportError::LeaseLost,
        AppError::Store(error) if error.is_transient() => {
            TransportError::Transient(Box::new(error))
        }
        error => TransportError::Refused(Box::new(error)),
    }
}
