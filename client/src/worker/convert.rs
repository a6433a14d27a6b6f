//! Attempts between the types of workers and proto.

use std::time::Duration;

use chrono::{DateTime, Utc};
use windrow::json::to_struct;
use windrow_worker::{
    AttemptId, AttemptUpdate, HeartbeatItem, LeaseStatus, LeasedRun, Level, LocationResult,
    LogLine, Outcome, Report, ScrapedProperty,
};

use super::json;
use crate::proto;

/// The server's default pause between two locations.
const DEFAULT_REQUEST_DELAY: Duration = Duration::from_secs(1);
/// The server's default limit of a location.
const DEFAULT_LIMIT: u32 = 10_000;

/// `None` if the message lacks its run.
pub(super) fn leased_run(lease: proto::Lease) -> Option<LeasedRun> {
    let run = lease.scraping_job?;
    let parameters = run.parameters.clone().unwrap_or_default();
    let listing_type = |it: proto::ListingType| it.as_str_name().replace("LISTING_TYPE_", "");
    let origin = run.origin().as_str_name().replace("SCRAPING_JOB_ORIGIN_", "").to_lowercase();
    Some(LeasedRun {
        id: AttemptId { job_id: run.job_id, attempt: run.attempt },
        source: parameters.source.clone().unwrap_or_default(),
        locations: lease.locations,
        request_delay: match parameters.request_delay {
            Some(delay) => duration(Some(delay)),
            None => DEFAULT_REQUEST_DELAY,
        },
        scraped: run.properties_scraped,
        expires_in: duration(lease.expires_in),
        attempt_expires_in: duration(lease.attempt_expires_in),
        scheduled_job_id: Some(run.scheduled_job_id).filter(|id| !id.is_empty()),
        origin,
        tick_at: run.tick_at.and_then(time),
        reference_time: lease.reference_time.and_then(time).unwrap_or(DateTime::UNIX_EPOCH),
        parameters: json::parameters(&parameters),
        listing_types: parameters.listing_types().map(listing_type).collect(),
        limit: parameters.limit.and_then(|it| it.try_into().ok()).unwrap_or(DEFAULT_LIMIT),
    })
}

/// `None` if the lease is lost.
pub(super) fn lease_status(state: proto::AttemptState) -> Option<(AttemptId, LeaseStatus)> {
    let id = state.attempt?;
    let status = LeaseStatus {
        cancel_requested: state.cancel_requested,
        expires_in: duration(state.expires_in),
        update_pending: state.update_pending,
    };
    let id = AttemptId { job_id: id.job_id, attempt: id.attempt };
    (!state.lease_lost).then_some((id, status))
}

pub(super) fn attempt(id: &AttemptId) -> proto::Attempt {
    proto::Attempt { job_id: id.job_id.clone(), attempt: id.attempt }
}

pub(super) fn attempt_report(item: &HeartbeatItem) -> proto::AttemptReport {
    proto::AttemptReport {
        attempt: Some(attempt(&item.id)),
        cancel_acknowledged: item.cancel_acknowledged,
        location_results: location_results(&item.update),
        logs: logs(&item.update),
    }
}

pub(super) fn batch(
    worker_id: &str,
    id: &AttemptId,
    report: &Report,
) -> proto::SubmitPropertiesRequest {
    proto::SubmitPropertiesRequest {
        worker_id: worker_id.to_owned(),
        attempt: Some(attempt(id)),
        scraped_before: report.scraped_before,
        properties: report.properties.iter().map(scraped_property).collect(),
        location_results: location_results(&report.update),
        logs: logs(&report.update),
    }
}

pub(super) fn finish(
    worker_id: &str,
    id: &AttemptId,
    outcome: &Outcome,
    update: &AttemptUpdate,
) -> proto::FinishScrapingJobRequest {
    let (outcome, error_message, permanent) = match outcome.clone() {
        Outcome::Done => (proto::AttemptOutcome::Done, String::new(), false),
        Outcome::Failed { reason, permanent } => (proto::AttemptOutcome::Failed, reason, permanent),
        Outcome::Cancelled => (proto::AttemptOutcome::Cancelled, String::new(), false),
        Outcome::Released => (proto::AttemptOutcome::Released, String::new(), false),
    };
    proto::FinishScrapingJobRequest {
        worker_id: worker_id.to_owned(),
        attempt: Some(attempt(id)),
        outcome: outcome.into(),
        error_message,
        permanent,
        location_results: location_results(update),
        logs: logs(update),
    }
}

/// An absent duration is zero.
pub(super) fn duration(duration: Option<prost_types::Duration>) -> Duration {
    duration.and_then(|duration| duration.try_into().ok()).unwrap_or_default()
}

fn scraped_property(scraped: &ScrapedProperty) -> proto::ScrapedProperty {
    proto::ScrapedProperty {
        property_id: scraped.property.id.clone(),
        location: scraped.location.clone(),
        body: Some(to_struct(scraped.property.body.clone())),
    }
}

fn location_results(update: &AttemptUpdate) -> Vec<proto::LocationResult> {
    let result = |LocationResult { location, failure }: &LocationResult| proto::LocationResult {
        location: location.clone(),
        error_message: failure.as_ref().map(|it| it.reason.clone()).unwrap_or_default(),
        permanent: failure.as_ref().is_some_and(|it| it.permanent),
    };
    update.results.iter().map(result).collect()
}

fn logs(update: &AttemptUpdate) -> Vec<proto::ScrapingJobLog> {
    update.lines.iter().map(log).collect()
}

fn log(line: &LogLine) -> proto::ScrapingJobLog {
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
}

fn time(time: prost_types::Timestamp) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(time.seconds, u32::try_from(time.nanos).ok()?)
}
