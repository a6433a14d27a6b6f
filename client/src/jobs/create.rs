//! Requests to create a scheduled job.

use std::time::Duration;

use crate::proto::{self, OverlapPolicy, ScheduledJob, ScrapingJobPriority};
use crate::times;

/// A scheduled job to create with [`crate::Client::create_job`]. A [`ScheduledJob`] can be passed instead.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a request does nothing until it is sent"]
pub struct CreateJob(proto::CreateScheduledJobRequest);

impl CreateJob {
    /// A job with a name for people and a cron expression; it needs a location as well.
    pub fn new(name: impl Into<String>, cron_expression: impl Into<String>) -> Self {
        Self::from(ScheduledJob {
            name: name.into(),
            cron_expression: cron_expression.into(),
            ..Default::default()
        })
    }

    /// The job's id, `[a-z0-9][a-z0-9_-]{0,62}`. Default: generated from the name.
    pub fn id(self, job_id: impl Into<String>) -> Self {
        self.set(|job| job.scheduled_job_id = job_id.into())
    }

    /// IANA time zone of the cron expression. Default: UTC.
    pub fn timezone(self, timezone: impl Into<String>) -> Self {
        self.set(|job| job.timezone = timezone.into())
    }

    /// Adds a location to scrape; repeat it for up to 1,000.
    pub fn location(self, location: impl Into<String>) -> Self {
        self.set(|job| job.parameters.get_or_insert_default().locations.push(location.into()))
    }

    /// Source to scrape. Default: the server's.
    pub fn source(self, source: impl Into<String>) -> Self {
        self.set(|job| job.parameters.get_or_insert_default().source = Some(source.into()))
    }

    /// Replaces all parameters, including locations and source.
    pub fn parameters(self, parameters: proto::ScrapeParameters) -> Self {
        self.set(|job| job.parameters = Some(parameters))
    }

    /// Priority of the runs that ticks create. Default: normal.
    pub fn priority(self, priority: ScrapingJobPriority) -> Self {
        self.set(|job| job.priority = priority.into())
    }

    /// Adds a label, which runs inherit.
    pub fn label(self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.set(|job| drop(job.labels.insert(key.into(), value.into())))
    }

    /// Maximum concurrent runs, 1 to 1,000. Default: no limit.
    pub fn max_concurrent_runs(self, limit: i32) -> Self {
        self.set(|job| job.max_concurrent_runs = limit)
    }

    /// Handling of a tick while runs of earlier ticks have not ended. Default: skip.
    pub fn overlap(self, overlap: OverlapPolicy) -> Self {
        self.set(|job| job.overlap = overlap.into())
    }

    /// Maximum random delay of a tick's run, up to 24 hours. Default: 0.
    pub fn jitter(self, jitter: Duration) -> Self {
        self.set(|job| job.jitter = Some(times::to_proto(jitter)))
    }

    /// Handling of ticks that no server decided in time. Default: only the latest one runs.
    pub fn catch_up(self, catch_up: proto::CatchUpPolicy) -> Self {
        self.set(|job| job.catch_up = Some(catch_up))
    }

    /// Retry and timeout policy of the runs.
    pub fn policy(self, policy: proto::RunPolicy) -> Self {
        self.set(|job| job.policy = Some(policy))
    }

    /// Makes calls of several processes idempotent: a UUID or up to 64 printable characters. Default: one
    /// per call.
    pub fn request_id(mut self, request_id: impl Into<String>) -> Self {
        self.0.request_id = request_id.into();
        self
    }

    /// Only validates: the call returns the job that would be created.
    pub fn validate_only(mut self) -> Self {
        self.0.validate_only = true;
        self
    }

    fn set(mut self, change: impl FnOnce(&mut ScheduledJob)) -> Self {
        change(self.0.scheduled_job.get_or_insert_default());
        self
    }
}

impl From<ScheduledJob> for CreateJob {
    fn from(job: ScheduledJob) -> Self {
        Self(proto::CreateScheduledJobRequest { scheduled_job: Some(job), ..Default::default() })
    }
}

impl From<CreateJob> for proto::CreateScheduledJobRequest {
    fn from(job: CreateJob) -> Self {
        job.0
    }
}
