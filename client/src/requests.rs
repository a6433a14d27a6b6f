//! Requests that are awkward as plain messages: with enums, maps and optional messages in them. All others
//! are plain structs with `..Default::default()`.

use crate::proto::{self, ScrapingJobPriority, ScrapingJobView};

/// Interest for a run now; becomes a [`proto::TriggerJobRequest`].
///
/// ```
/// use windrow_client::{TriggerJob, proto};
///
/// let request: proto::TriggerJobRequest = TriggerJob::new("daily-sold")
///     .priority(proto::ScrapingJobPriority::High)
///     .label("team", "sales")
///     .location("46220")
///     .into();
/// assert_eq!(request.overrides.unwrap().locations, ["46220"]);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "it does nothing until it is sent"]
pub struct TriggerJob(proto::TriggerJobRequest);

impl TriggerJob {
    /// Of a scheduled job, or again what a run scraped.
    pub fn new(job_id: impl Into<String>) -> Self {
        Self(proto::TriggerJobRequest { job_id: job_id.into(), ..Default::default() })
    }

    /// How urgent; immediate unless given.
    pub fn priority(mut self, priority: ScrapingJobPriority) -> Self {
        self.0.priority = priority.into();
        self
    }

    /// Labels the run, over the labels of its job.
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.labels.insert(key.into(), value.into());
        self
    }

    /// Scrapes this location, and others given so, instead of the job's.
    pub fn location(mut self, location: impl Into<String>) -> Self {
        let overrides = self.0.overrides.get_or_insert_default();
        overrides.locations.push(location.into());
        self
    }

    /// Replaces parameters for this run: every one that is present, and every list that is not empty.
    pub fn overrides(mut self, overrides: proto::ScrapeParameters) -> Self {
        self.0.overrides = Some(overrides);
        self
    }

    /// Makes calls with this id and the same content one run, also those of other processes. Without it
    /// each call makes one run, however often it is retried.
    pub fn request_id(mut self, request_id: impl Into<String>) -> Self {
        self.0.request_id = request_id.into();
        self
    }
}

impl From<TriggerJob> for proto::TriggerJobRequest {
    fn from(request: TriggerJob) -> Self {
        request.0
    }
}

/// Says which runs [`crate::Client::watch_all`] watches, and from where.
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "it does nothing until it is watched"]
pub struct WatchAll {
    pub(crate) request: proto::WatchScrapingJobsRequest,
    pub(crate) resync: bool,
}

impl WatchAll {
    /// Every run, without its locations one by one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only runs of this scheduled job.
    pub fn scheduled_job(mut self, scheduled_job_id: impl Into<String>) -> Self {
        self.request.scheduled_job_id = scheduled_job_id.into();
        self
    }

    /// Only runs that match, for example `status = failed AND labels.team = sales`; as in
    /// [`proto::WatchScrapingJobsRequest`].
    pub fn filter(mut self, filter: impl Into<String>) -> Self {
        self.request.filter = filter.into();
        self
    }

    /// Whole runs, with their locations and which of them failed why.
    pub fn full(mut self) -> Self {
        self.request.view = ScrapingJobView::Full.into();
        self
    }

    /// Goes on where an earlier watch of the same runs was: see [`crate::WatchEvents::resume_token`]. Nothing
    /// in between is missed.
    pub fn resume_from(mut self, token: impl Into<String>) -> Self {
        self.request.resume_token = token.into();
        self
    }

    /// Begins anew where the watch cannot go on without a gap, with [`crate::WatchEvent::Resynced`], instead
    /// of ending by an error. For those who show the present state; not for those who count.
    pub fn resync(mut self) -> Self {
        self.resync = true;
        self
    }
}
