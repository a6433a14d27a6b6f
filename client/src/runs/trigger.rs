//! Requests to trigger a run.

use crate::proto::{self, ScrapingJobPriority};

/// A run to create with [`crate::Client::trigger_job`]. The id of a scheduled job or of a run can be passed
/// instead, if nothing else is needed.
///
/// ```
/// use windrow_client::{TriggerJob, proto};
///
/// let request: proto::TriggerJobRequest = TriggerJob::new("sample_sold_daily")
///     .priority(proto::ScrapingJobPriority::High)
///     .label("team", "sales")
///     .location("46220")
///     .into();
/// assert_eq!(request.overrides.unwrap().locations, ["46220"]);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a request does nothing until it is sent"]
pub struct TriggerJob(proto::TriggerJobRequest);

impl TriggerJob {
    /// A run of a scheduled job, or a repetition of a run.
    pub fn new(job_id: impl Into<String>) -> Self {
        Self(proto::TriggerJobRequest { job_id: job_id.into(), ..Default::default() })
    }

    /// Priority of the run. Default: immediate.
    pub fn priority(mut self, priority: ScrapingJobPriority) -> Self {
        self.0.priority = priority.into();
        self
    }

    /// Adds a label; it replaces a label of the job with the same key.
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.labels.insert(key.into(), value.into());
        self
    }

    /// Adds a location to scrape instead of the job's locations.
    pub fn location(mut self, location: impl Into<String>) -> Self {
        self.0.overrides.get_or_insert_default().locations.push(location.into());
        self
    }

    /// Overrides parameters for this run: every present field and every list that is not empty.
    pub fn overrides(mut self, overrides: proto::ScrapeParameters) -> Self {
        self.0.overrides = Some(overrides);
        self
    }

    /// Makes calls of several processes idempotent: a UUID or up to 64 printable characters. Default: one
    /// per call, so each call creates one run, however often it is retried.
    pub fn request_id(mut self, request_id: impl Into<String>) -> Self {
        self.0.request_id = request_id.into();
        self
    }

    /// Only validates: the call returns the run that would be created, without an id.
    pub fn validate_only(mut self) -> Self {
        self.0.validate_only = true;
        self
    }
}

impl From<&str> for TriggerJob {
    fn from(job_id: &str) -> Self {
        Self::new(job_id)
    }
}

impl From<&String> for TriggerJob {
    fn from(job_id: &String) -> Self {
        Self::new(job_id)
    }
}

impl From<String> for TriggerJob {
    fn from(job_id: String) -> Self {
        Self::new(job_id)
    }
}

impl From<proto::TriggerJobRequest> for TriggerJob {
    fn from(request: proto::TriggerJobRequest) -> Self {
        Self(request)
    }
}

impl From<TriggerJob> for proto::TriggerJobRequest {
    fn from(request: TriggerJob) -> Self {
        request.0
    }
}
