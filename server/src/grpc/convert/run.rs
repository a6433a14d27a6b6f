//! Runs: their states and their messages.

use windrow::v1 as proto;

use super::parameters::to_parameters;
use super::policy::to_policy;
use super::primitives::to_time;
use super::priority::to_priority;
use crate::app::AppError;
use crate::domain::filter::RunConditions;
use crate::domain::pending_reason::PendingReason;
use crate::domain::run::{FailedLocation, Origin, Run, Status};
use crate::domain::saturating::saturating_i32;

/// The status to filter by; `None` if unspecified.
pub(in crate::grpc) fn run_status(number: i32) -> Result<Option<Status>, AppError> {
    match proto::ScrapingJobStatus::try_from(number) {
        Ok(proto::ScrapingJobStatus::Unspecified) => Ok(None),
        Ok(proto::ScrapingJobStatus::Pending) => Ok(Some(Status::Pending)),
        Ok(proto::ScrapingJobStatus::Running) => Ok(Some(Status::Running)),
        Ok(proto::ScrapingJobStatus::Completed) => Ok(Some(Status::Completed)),
        Ok(proto::ScrapingJobStatus::Failed) => Ok(Some(Status::Failed)),
        Ok(proto::ScrapingJobStatus::Cancelled) => Ok(Some(Status::Cancelled)),
        Err(_) => Err(AppError::invalid("status", format!("{number} is not a status"))),
    }
}

/// The parsed `filter` of a request for runs.
pub(in crate::grpc) fn run_conditions(filter: &str) -> Result<RunConditions, AppError> {
    RunConditions::parse(filter).map_err(|text| AppError::invalid("filter", text))
}

/// A run without its pending reason, which only the calls that show pending runs look up.
pub(in crate::grpc) fn to_run(run: &Run) -> proto::ScrapingJob {
    proto::ScrapingJob {
        job_id: run.spec.id.to_string(),
        scheduled_job_id: or_empty(run.spec.scheduled_job_id.as_ref()),
        original_job_id: or_empty(run.spec.original_job_id.as_ref()),
        origin: to_origin(run.spec.origin).into(),
        status: to_run_status(run.state.status).into(),
        priority: to_priority(run.spec.priority).into(),
        parameters: Some(to_parameters(&run.spec.parameters)),
        requested_by: run.spec.requested_by.clone(),
        labels: run.spec.labels.clone(),
        tick_at: run.spec.tick_at.map(to_time),
        created_at: Some(to_time(run.spec.created_at)),
        available_at: Some(to_time(run.state.available_at)),
        started_at: run.state.started_at.map(to_time),
        completed_at: run.state.completed_at.map(to_time),
        cancel_requested_at: run.state.cancel_requested_at.map(to_time),
        properties_scraped: run.state.counts.scraped,
        properties_saved: run.state.counts.saved,
        properties_inserted: run.state.counts.saved - run.state.counts.updated,
        properties_updated: run.state.counts.updated,
        properties_skipped: run.state.counts.skipped,
        properties_duplicate: run.state.counts.duplicate,
        total_locations: run.state.progress.total_locations,
        completed_locations: run.state.progress.completed_locations(),
        failed_locations: run.state.progress.failed.iter().map(to_failed).collect(),
        failed_location_count: saturating_i32(run.state.progress.failed.len()),
        attempt: run.state.attempt,
        attempt_started_at: run.state.attempt_started_at.map(to_time),
        policy: to_policy(&run.spec.policy.complete()),
        pending_reason: None,
        max_attempts: run.state.max_attempts,
        error_message: run.state.error_message.clone(),
        revision: run.state.revision,
        worker_id: run
            .state
            .lease
            .as_ref()
            .map_or_else(String::new, |lease| lease.worker_id.clone()),
    }
}

fn or_empty(id: Option<&impl ToString>) -> String {
    id.map_or_else(String::new, ToString::to_string)
}

fn to_failed(failed: &FailedLocation) -> proto::FailedLocation {
    let FailedLocation { location, reason, permanent } = failed.clone();
    proto::FailedLocation { location, reason, permanent }
}

pub(in crate::grpc) fn to_run_status(status: Status) -> proto::ScrapingJobStatus {
    match status {
        Status::Pending => proto::ScrapingJobStatus::Pending,
        Status::Running => proto::ScrapingJobStatus::Running,
        Status::Completed => proto::ScrapingJobStatus::Completed,
        Status::Failed => proto::ScrapingJobStatus::Failed,
        Status::Cancelled => proto::ScrapingJobStatus::Cancelled,
    }
}

fn to_origin(origin: Origin) -> proto::ScrapingJobOrigin {
    match origin {
        Origin::Scheduled => proto::ScrapingJobOrigin::Scheduled,
        Origin::Triggered => proto::ScrapingJobOrigin::Triggered,
        Origin::Immediate => proto::ScrapingJobOrigin::Immediate,
        Origin::Recurring => proto::ScrapingJobOrigin::Recurring,
        Origin::Backfill => proto::ScrapingJobOrigin::Backfill,
        Origin::Retry => proto::ScrapingJobOrigin::Retry,
    }
}

pub(in crate::grpc) fn to_pending_reason(reason: &PendingReason) -> proto::PendingReason {
    let code = match reason {
        PendingReason::Time { .. } => proto::PendingReasonCode::NotYetAvailable,
        PendingReason::Worker { .. } => proto::PendingReasonCode::NoWorker,
        PendingReason::SourceLimit { .. } => proto::PendingReasonCode::SourceLimit,
        PendingReason::JobLimit { .. } => proto::PendingReasonCode::JobLimit,
        PendingReason::Turn { .. } => proto::PendingReasonCode::WorkersBusy,
        PendingReason::EarlierRun { .. } => proto::PendingReasonCode::EarlierRun,
    };
    proto::PendingReason { code: code.into(), message: reason.to_string() }
}
