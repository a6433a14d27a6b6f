//! Attempts between proto and the types of workers.

use chrono::{DateTime, Utc};
use windrow::v1 as proto;
use windrow_worker::{
    AttemptId, AttemptUpdate, Failure, HeartbeatItem, LeaseStatus, LocationResult, Outcome,
    Property, Report, ScrapedProperty,
};

use super::convert::{self, to_duration, to_run, to_time};
use super::logs;
use crate::app::AppError;
use crate::domain::run::Run;

pub(super) fn attempt_id(
    field: &str,
    attempt: Option<proto::Attempt>,
) -> Result<AttemptId, AppError> {
    let attempt = attempt.ok_or_else(|| AppError::invalid(field, "is required"))?;
    if attempt.attempt < 1 {
        return Err(AppError::invalid(&format!("{field}.attempt"), "must be at least 1"));
    }
    convert::run_id(&format!("{field}.job_id"), &attempt.job_id)?;
    Ok(AttemptId { job_id: attempt.job_id, attempt: attempt.attempt })
}

pub(super) fn to_attempt(id: AttemptId) -> proto::Attempt {
    proto::Attempt { job_id: id.job_id, attempt: id.attempt }
}

pub(super) fn to_lease(run: &Run, now: DateTime<Utc>) -> proto::Lease {
    let until = |at: DateTime<Utc>| to_duration((at - now).to_std().unwrap_or_default());
    let lease = run.state.lease.as_ref();
    proto::Lease {
        scraping_job: Some(to_run(run)),
        locations: run.locations_to_scrape(),
        expires_in: lease.and_then(|lease| until(lease.expires_at)),
        attempt_expires_in: lease.and_then(|lease| until(lease.latest_at)),
        reference_time: Some(to_time(run.spec.reference_time())),
    }
}

pub(super) fn heartbeat_item(
    path: &str,
    report: proto::AttemptReport,
    now: DateTime<Utc>,
) -> Result<HeartbeatItem, AppError> {
    Ok(HeartbeatItem {
        id: attempt_id(&format!("{path}.attempt"), report.attempt)?,
        cancel_acknowledged: report.cancel_acknowledged,
        update: update(&format!("{path}."), report.location_results, report.logs, now)?,
    })
}

/// The state of an attempt whose lease has this status; `None` is a lost lease.
pub(super) fn to_state(id: AttemptId, status: Option<&LeaseStatus>) -> proto::AttemptState {
    proto::AttemptState {
        attempt: Some(to_attempt(id)),
        lease_lost: status.is_none(),
        cancel_requested: status.is_some_and(|status| status.cancel_requested),
        expires_in: status.and_then(|status| to_duration(status.expires_in)),
        update_pending: status.is_some_and(|status| status.update_pending),
    }
}

pub(super) fn report(
    request: proto::SubmitPropertiesRequest,
    now: DateTime<Utc>,
) -> Result<Report, AppError> {
    let properties = request.properties.into_iter().enumerate().map(scraped_property);
    Ok(Report {
        scraped_before: request.scraped_before,
        properties: properties.collect::<Result<_, _>>()?,
        update: update("", request.location_results, request.logs, now)?,
    })
}

fn scraped_property(
    (index, property): (usize, proto::ScrapedProperty),
) -> Result<ScrapedProperty, AppError> {
    let path = |name: &str| format!("properties[{index}].{name}");
    let body = windrow::json::from_struct(property.body.unwrap_or_default());
    let body = body.map_err(|error| AppError::invalid(&path("body"), error.to_string()))?;
    Ok(ScrapedProperty {
        location: convert::short_text(&path("location"), property.location)?,
        property: Property::new(property.property_id, body),
    })
}

pub(super) fn finish(
    request: proto::FinishScrapingJobRequest,
    now: DateTime<Utc>,
) -> Result<(Outcome, AttemptUpdate), AppError> {
    let update = update("", request.location_results, request.logs, now)?;
    let reason = convert::text("error_message", request.error_message)?;
    let outcome = match proto::AttemptOutcome::try_from(request.outcome) {
        Ok(proto::AttemptOutcome::Failed) if reason.is_empty() => {
            return Err(AppError::invalid("error_message", "is required by FAILED"));
        }
        Ok(proto::AttemptOutcome::Failed) => {
            return Ok((Outcome::Failed { reason, permanent: request.permanent }, update));
        }
        Ok(proto::AttemptOutcome::Done) => Outcome::Done,
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
    if !reason.is_empty() {
        return Err(AppError::invalid("error_message", "is only for FAILED"));
    }
    Ok((outcome, update))
}

fn update(
    path: &str,
    results: Vec<proto::LocationResult>,
    logs: Vec<proto::ScrapingJobLog>,
    now: DateTime<Utc>,
) -> Result<AttemptUpdate, AppError> {
    let result = |(index, result): (usize, proto::LocationResult)| {
        let field = format!("{path}location_results[{index}]");
        let reason = convert::text(&format!("{field}.error_message"), result.error_message)?;
        let permanent = result.permanent;
        Ok(LocationResult {
            location: convert::short_text(&format!("{field}.location"), result.location)?,
            failure: (!reason.is_empty()).then_some(Failure { reason, permanent }),
        })
    };
    let results = results.into_iter().enumerate().map(result);
    Ok(AttemptUpdate {
        results: results.collect::<Result<_, AppError>>()?,
        lines: logs::lines(&format!("{path}logs"), logs, now)?,
    })
}
