//! Scheduled jobs: their settings, states and statistics.

use windrow::v1 as proto;

use super::parameters::{parameters, to_parameters};
use super::policy::{policy, to_policy};
use super::primitives::{to_duration, to_time};
use super::priority::{priority, to_priority};
use super::run::to_run_status;
use super::tick_policy::{tick_policy, to_catch_up, to_overlap};
use crate::app::{AppError, JobStatistics, join_violations};
use crate::domain::parameters::SourceNames;
use crate::domain::run::Priority;
use crate::domain::scheduled_job::{ScheduledJob, SettingsDraft, Status};
use crate::grpc::status::within;

/// The settings of a job. Paths are relative to the job.
pub(in crate::grpc) fn settings_draft(job: proto::ScheduledJob) -> Result<SettingsDraft, AppError> {
    let priority = priority(job.priority)?.unwrap_or(Priority::Normal);
    let parameters = parameters(job.parameters).map_err(within("parameters"))?;
    Ok(SettingsDraft {
        name: job.name,
        cron_expression: job.cron_expression,
        timezone: job.timezone,
        parameters,
        priority,
        labels: job.labels,
        policy: policy(job.policy).map_err(within("policy"))?,
        max_concurrent_runs: job.max_concurrent_runs,
        ticks: tick_policy(job.catch_up, job.overlap, job.jitter)?,
    })
}

/// The status to filter by; `None` if unspecified.
pub(in crate::grpc) fn job_status(number: i32) -> Result<Option<Status>, AppError> {
    match proto::ScheduledJobStatus::try_from(number) {
        Ok(proto::ScheduledJobStatus::Unspecified) => Ok(None),
        Ok(proto::ScheduledJobStatus::Active) => Ok(Some(Status::Active)),
        Ok(proto::ScheduledJobStatus::Paused) => Ok(Some(Status::Paused)),
        Ok(proto::ScheduledJobStatus::Inactive) => Ok(Some(Status::Inactive)),
        Err(_) => Err(AppError::invalid("status", format!("{number} is not a status"))),
    }
}

/// A job with its warnings, which depend on the sources of the server.
pub(in crate::grpc) fn to_job(job: &ScheduledJob, sources: &SourceNames) -> proto::ScheduledJob {
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
        problem: join_violations(&job.problems),
        warnings: settings.warnings(sources),
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

pub(in crate::grpc) fn to_stats(stats: &JobStatistics) -> proto::GetScheduledJobStatsResponse {
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

fn to_job_status(status: Status) -> proto::ScheduledJobStatus {
    match status {
        Status::Active => proto::ScheduledJobStatus::Active,
        Status::Paused => proto::ScheduledJobStatus::Paused,
        Status::Inactive => proto::ScheduledJobStatus::Inactive,
    }
}
