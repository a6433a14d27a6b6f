//! Between proto messages and domain values. A value that has no meaning is refused with its path.

use std::time::Duration;

use chrono::{DateTime, Utc};
use prost_types::{Duration as ProtoDuration, Timestamp};
use windrow::v1 as proto;

use super::policy::to_policy;
use super::tick_policy::{to_catch_up, to_overlap};
use crate::app::{AppError, JobStatistics, told};
use crate::domain::id::{RunId, ScheduledJobId};
use crate::domain::parameters::{LOCATION_LENGTH, ListingType, ScrapeParameters};
use crate::domain::run::{self, FailedLocation, Origin, Priority, Run};
use crate::domain::scheduled_job::{ScheduledJob, SettingsDraft, Status};
use crate::domain::violation::Violation;

pub(super) fn scheduled_job_id(field: &str, text: &str) -> Result<ScheduledJobId, AppError> {
    ScheduledJobId::parse(text).map_err(|error| AppError::invalid(field, error.to_string()))
}

pub(super) fn run_id(field: &str, text: &str) -> Result<RunId, AppError> {
    RunId::parse(text).map_err(|error| AppError::invalid(field, error.to_string()))
}

/// A location, or nothing.
pub(super) fn location(field: &str, text: String) -> Result<String, AppError> {
    let text = self::text(field, text)?;
    let length = text.chars().count();
    if length > LOCATION_LENGTH {
        return Err(AppError::invalid(
            field,
            format!("has more than {LOCATION_LENGTH} characters"),
        ));
    }
    Ok(text)
}

/// A text that can be stored.
pub(super) fn text(field: &str, text: String) -> Result<String, AppError> {
    if text.contains('\0') {
        return Err(AppError::invalid(field, "holds U+0000, which cannot be stored"));
    }
    Ok(text)
}

/// The settings in a job; paths are relative to the job.
pub(super) fn settings_draft(job: proto::ScheduledJob) -> Result<SettingsDraft, AppError> {
    let priority = priority(job.priority)?.unwrap_or(Priority::Normal);
    let parameters = parameters(job.parameters).map_err(super::status::within("parameters"))?;
    Ok(SettingsDraft {
        name: job.name,
        cron_expression: job.cron_expression,
        timezone: job.timezone,
        parameters,
        priority,
        labels: job.labels,
        policy: super::policy::policy(job.policy).map_err(super::status::within("policy"))?,
        max_concurrent_runs: job.max_concurrent_runs,
        ticks: super::tick_policy::tick_policy(job.catch_up, job.overlap, job.jitter)?,
    })
}

/// Parameters, none if absent; paths are relative to them.
pub(super) fn parameters(
    parameters: Option<proto::ScrapeParameters>,
) -> Result<ScrapeParameters, AppError> {
    let parameters = parameters.unwrap_or_default();
    Ok(ScrapeParameters {
        listing_types: listing_types(&parameters.listing_types)?,
        request_delay: duration("request_delay", parameters.request_delay)?,
        locations: parameters.locations,
        past_days: parameters.past_days,
        radius: parameters.radius,
        limit: parameters.limit,
        source: parameters.source,
        full_scrape: parameters.full_scrape,
    })
}

fn listing_types(numbers: &[i32]) -> Result<Vec<ListingType>, AppError> {
    let of = |(index, number): (usize, &i32)| {
        let field = format!("listing_types[{index}]");
        let unspecified = || AppError::invalid(&field, "0 is not a listing type");
        listing_type(&field, *number)?.ok_or_else(unspecified)
    };
    numbers.iter().enumerate().map(of).collect()
}

/// The kind of listing; `None` if unspecified.
pub(super) fn listing_type(field: &str, number: i32) -> Result<Option<ListingType>, AppError> {
    match proto::ListingType::try_from(number) {
        Ok(proto::ListingType::Unspecified) => Ok(None),
        Ok(proto::ListingType::ForSale) => Ok(Some(ListingType::ForSale)),
        Ok(proto::ListingType::ForRent) => Ok(Some(ListingType::ForRent)),
        Ok(proto::ListingType::Sold) => Ok(Some(ListingType::Sold)),
        Ok(proto::ListingType::Pending) => Ok(Some(ListingType::Pending)),
        Err(_) => Err(AppError::invalid(field, format!("{number} is not a listing type"))),
    }
}

/// A duration that is not negative.
pub(super) fn duration(
    field: &str,
    duration: Option<ProtoDuration>,
) -> Result<Option<Duration>, AppError> {
    let negative = |_| AppError::invalid(field, "must not be negative");
    duration.map(|duration| Duration::try_from(duration).map_err(negative)).transpose()
}

/// The priority; `None` if unspecified.
pub(super) fn priority(number: i32) -> Result<Option<Priority>, AppError> {
    match proto::ScrapingJobPriority::try_from(number) {
        Ok(proto::ScrapingJobPriority::Unspecified) => Ok(None),
        Ok(proto::ScrapingJobPriority::Low) => Ok(Some(Priority::Low)),
        Ok(proto::ScrapingJobPriority::Normal) => Ok(Some(Priority::Normal)),
        Ok(proto::ScrapingJobPriority::High) => Ok(Some(Priority::High)),
        Ok(proto::ScrapingJobPriority::Immediate) => Ok(Some(Priority::Immediate)),
        Err(_) => Err(AppError::invalid("priority", format!("{number} is not a priority"))),
    }
}

/// The state of runs to look for; `None` if unspecified.
pub(super) fn run_status(number: i32) -> Result<Option<run::Status>, AppError> {
    match proto::ScrapingJobStatus::try_from(number) {
        Ok(proto::ScrapingJobStatus::Unspecified) => Ok(None),
        Ok(proto::ScrapingJobStatus::Pending) => Ok(Some(run::Status::Pending)),
        Ok(proto::ScrapingJobStatus::Running) => Ok(Some(run::Status::Running)),
        Ok(proto::ScrapingJobStatus::Completed) => Ok(Some(run::Status::Completed)),
        Ok(proto::ScrapingJobStatus::Failed) => Ok(Some(run::Status::Failed)),
        Ok(proto::ScrapingJobStatus::Cancelled) => Ok(Some(run::Status::Cancelled)),
        Err(_) => Err(AppError::invalid("status", format!("{number} is not a status"))),
    }
}

/// The status of scheduled jobs to look for; `None` if unspecified.
pub(super) fn job_status(number: i32) -> Result<Option<Status>, AppError> {
    match proto::ScheduledJobStatus::try_from(number) {
        Ok(proto::ScheduledJobStatus::Unspecified) => Ok(None),
        Ok(proto::ScheduledJobStatus::Active) => Ok(Some(Status::Active)),
        Ok(proto::ScheduledJobStatus::Paused) => Ok(Some(Status::Paused)),
        Ok(proto::ScheduledJobStatus::Inactive) => Ok(Some(Status::Inactive)),
        Err(_) => Err(AppError::invalid("status", format!("{number} is not a status"))),
    }
}

/// A time of the years 1 to 9999, as `google.protobuf.Timestamp` has them.
pub(super) fn time(
    field: &str,
    time: Option<Timestamp>,
) -> Result<Option<DateTime<Utc>>, AppError> {
    const YEAR_1: i64 = -62_135_596_800;
    const YEAR_10000: i64 = 253_402_300_800;
    let Some(Timestamp { seconds, nanos }) = time else { return Ok(None) };
    let read = match u32::try_from(nanos) {
        Ok(nanos) if (YEAR_1..YEAR_10000).contains(&seconds) => {
            DateTime::from_timestamp(seconds, nanos)
        }
        Ok(_) | Err(_) => None,
    };
    match read {
        Some(time) => Ok(Some(time)),
        None => Err(AppError::Invalid(vec![Violation::new(field, "is not a valid timestamp")])),
    }
}

/// A scheduled job for a response.
pub(super) fn to_job(job: &ScheduledJob) -> proto::ScheduledJob {
    let (settings, gate) = (&job.settings, &job.gate);
    let last = job.history.last.as_ref();
    proto::ScheduledJob {
        scheduled_job_id: job.id.to_string(),
        name: settings.name.clone(),
        status: to_job_status(gate.status).into(),
        cron_expression: settings.schedule.cron_expression().to_owned(),
        timezone: settings.schedule.timezone().to_owned(),
        parameters: Some(to_parameters(&settings.parameters)),
        priority: to_priority(settings.priority).into(),
        labels: settings.labels.clone(),
        policy: to_policy(&settings.policy),
        max_concurrent_runs: settings.max_concurrent_runs,
        catch_up: to_catch_up(&settings.ticks.catch_up),
        overlap: to_overlap(settings.ticks.overlap),
        jitter: settings.ticks.jitter.and_then(to_duration),
        problem: told(&job.problems),
        run_count: job.history.run_count,
        last_run_at: last.map(|run| to_time(run.run_at)),
        last_run_status: last.map_or(0, |run| to_run_status(run.status).into()),
        last_run_job_id: last.map_or_else(String::new, |run| run.job_id.to_string()),
        next_run_at: gate.next_tick_at.map(to_time),
        pause_reason: gate.pause_reason.clone(),
        paused_until: gate.paused_until.map(to_time),
        created_at: Some(to_time(job.created_at)),
        updated_at: Some(to_time(job.updated_at)),
        deleted_at: gate.deleted_at.map(to_time),
        etag: job.etag(),
    }
}

/// A run for a response.
pub(super) fn to_run(run: &Run) -> proto::ScrapingJob {
    let id = |id: &Option<RunId>| id.as_ref().map_or_else(String::new, ToString::to_string);
    proto::ScrapingJob {
        job_id: run.id.to_string(),
        scheduled_job_id: run
            .scheduled_job_id
            .as_ref()
            .map_or_else(String::new, ToString::to_string),
        original_job_id: id(&run.original_job_id),
        origin: to_origin(run.origin).into(),
        status: to_run_status(run.status).into(),
        priority: to_priority(run.priority).into(),
        parameters: Some(to_parameters(&run.parameters)),
        requested_by: run.requested_by.clone(),
        labels: run.labels.clone(),
        tick_at: run.tick_at.map(to_time),
        created_at: Some(to_time(run.created_at)),
        available_at: Some(to_time(run.available_at)),
        started_at: run.started_at.map(to_time),
        completed_at: run.completed_at.map(to_time),
        cancel_requested_at: run.cancel_requested_at.map(to_time),
        properties_scraped: run.counts.scraped,
        properties_saved: run.counts.saved,
        properties_inserted: run.counts.saved - run.counts.updated,
        properties_updated: run.counts.updated,
        properties_skipped: run.counts.skipped,
        properties_duplicate: run.counts.duplicate,
        total_locations: run.progress.total_locations,
        completed_locations: run.progress.completed_locations(),
        failed_locations: run.progress.failed.iter().map(to_failed).collect(),
        failed_location_count: i32::try_from(run.progress.failed.len()).unwrap_or(i32::MAX),
        attempt: run.attempt,
        attempt_started_at: run.attempt_started_at.map(to_time),
        policy: to_policy(&run.policy.complete()),
        // Who shows pending runs fills it in.
        pending_reason: None,
        max_attempts: run.max_attempts,
        error_message: run.error_message.clone(),
        revision: run.revision,
        worker_id: run.lease.as_ref().map_or_else(String::new, |lease| lease.worker_id.clone()),
    }
}

/// Statistics for a response.
pub(super) fn to_stats(stats: &JobStatistics) -> proto::GetScheduledJobStatsResponse {
    let ended = &stats.ended;
    proto::GetScheduledJobStatsResponse {
        window_start: Some(to_time(stats.since)),
        completed_runs: ended.completed,
        failed_runs: ended.failed,
        cancelled_runs: ended.cancelled,
        active_runs: stats.active,
        success_rate: stats.success_rate(),
        average_duration: ended.durations.and_then(|took| to_duration(took.average)),
        p50_duration: ended.durations.and_then(|took| to_duration(took.p50)),
        p95_duration: ended.durations.and_then(|took| to_duration(took.p95)),
        properties_scraped: ended.scraped,
        properties_saved: ended.saved,
        last_success_at: stats.last_success_at.map(to_time),
    }
}

/// Durations of runs and requests are far below the 10,000 years that fit.
pub(super) fn to_duration(duration: Duration) -> Option<ProtoDuration> {
    ProtoDuration::try_from(duration).ok()
}

pub(super) fn to_time(time: DateTime<Utc>) -> Timestamp {
    // Below 10^9, so it fits.
    let nanos = i32::try_from(time.timestamp_subsec_nanos()).unwrap_or(0);
    Timestamp { seconds: time.timestamp(), nanos }
}

pub(super) fn to_run_status(status: run::Status) -> proto::ScrapingJobStatus {
    match status {
        run::Status::Pending => proto::ScrapingJobStatus::Pending,
        run::Status::Running => proto::ScrapingJobStatus::Running,
        run::Status::Completed => proto::ScrapingJobStatus::Completed,
        run::Status::Failed => proto::ScrapingJobStatus::Failed,
        run::Status::Cancelled => proto::ScrapingJobStatus::Cancelled,
    }
}

fn to_parameters(parameters: &ScrapeParameters) -> proto::ScrapeParameters {
    let kind = |kind: &ListingType| to_listing_type(*kind).into();
    proto::ScrapeParameters {
        locations: parameters.locations.clone(),
        listing_types: parameters.listing_types.iter().map(kind).collect(),
        past_days: parameters.past_days,
        radius: parameters.radius,
        limit: parameters.limit,
        request_delay: parameters.request_delay.and_then(to_duration),
        source: parameters.source.clone(),
        full_scrape: parameters.full_scrape,
    }
}

fn to_failed(failed: &FailedLocation) -> proto::FailedLocation {
    let FailedLocation { location, reason, permanent } = failed.clone();
    proto::FailedLocation { location, reason, permanent }
}

fn to_job_status(status: Status) -> proto::ScheduledJobStatus {
    match status {
        Status::Active => proto::ScheduledJobStatus::Active,
        Status::Paused => proto::ScheduledJobStatus::Paused,
        Status::Inactive => proto::ScheduledJobStatus::Inactive,
    }
}

fn to_priority(priority: Priority) -> proto::ScrapingJobPriority {
    match priority {
        Priority::Low => proto::ScrapingJobPriority::Low,
        Priority::Normal => proto::ScrapingJobPriority::Normal,
        Priority::High => proto::ScrapingJobPriority::High,
        Priority::Immediate => proto::ScrapingJobPriority::Immediate,
    }
}

pub(super) fn to_listing_type(kind: ListingType) -> proto::ListingType {
    match kind {
        ListingType::ForSale => proto::ListingType::ForSale,
        ListingType::ForRent => proto::ListingType::ForRent,
        ListingType::Sold => proto::ListingType::Sold,
        ListingType::Pending => proto::ListingType::Pending,
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
