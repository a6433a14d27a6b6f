//! Changes of a scheduled job's settings.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::BoxFuture;

use crate::error::required;
use crate::proto::{self, OverlapPolicy, ScheduledJob, ScrapingJobPriority};
use crate::{Client, Error, times};

/// A call to change settings of a scheduled job; await it. Only the settings that are named here change: the
/// update mask is filled in.
///
/// ```no_run
/// # use windrow_client::{Client, Error};
/// # async fn example(client: Client) -> Result<(), Error> {
/// let job = client.get_job("sample_sold_daily").await?;
/// // Fails with ABORTED / ETAG_MISMATCH if the job was changed in between.
/// client.update_job("sample_sold_daily").cron_expression("0 7 * * *").etag(job.etag).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a call does nothing until it is awaited"]
pub struct UpdateJob {
    client: Client,
    job: ScheduledJob,
    paths: Vec<String>,
    validate_only: bool,
}

impl UpdateJob {
    pub(super) fn new(client: &Client, scheduled_job_id: String) -> Self {
        let job = ScheduledJob { scheduled_job_id, ..Default::default() };
        Self { client: client.clone(), job, paths: Vec::new(), validate_only: false }
    }

    /// Name for people, 1 to 200 characters.
    pub fn name(self, name: impl Into<String>) -> Self {
        self.set("name", |job| job.name = name.into())
    }

    /// Cron expression. The next tick is the first one after now.
    pub fn cron_expression(self, cron_expression: impl Into<String>) -> Self {
        self.set("cron_expression", |job| job.cron_expression = cron_expression.into())
    }

    /// IANA time zone of the cron expression; empty for UTC.
    pub fn timezone(self, timezone: impl Into<String>) -> Self {
        self.set("timezone", |job| job.timezone = timezone.into())
    }

    /// Replaces the locations to scrape.
    pub fn locations<L: Into<String>>(self, locations: impl IntoIterator<Item = L>) -> Self {
        let locations = locations.into_iter().map(Into::into).collect();
        self.set("parameters.locations", |job| {
            job.parameters.get_or_insert_default().locations = locations;
        })
    }

    /// Source that the runs scrape.
    pub fn source(self, source: impl Into<String>) -> Self {
        self.set("parameters.source", |job| {
            job.parameters.get_or_insert_default().source = Some(source.into());
        })
    }

    /// Replaces all parameters, including locations and source.
    pub fn parameters(self, parameters: proto::ScrapeParameters) -> Self {
        self.set("parameters", |job| job.parameters = Some(parameters))
    }

    /// Priority of the runs that ticks create.
    pub fn priority(self, priority: ScrapingJobPriority) -> Self {
        self.set("priority", |job| job.priority = priority.into())
    }

    /// Replaces all labels; runs that exist keep theirs.
    pub fn labels(self, labels: BTreeMap<String, String>) -> Self {
        self.set("labels", |job| job.labels = labels)
    }

    /// Maximum concurrent runs, 1 to 1,000; 0 for no limit.
    pub fn max_concurrent_runs(self, limit: i32) -> Self {
        self.set("max_concurrent_runs", |job| job.max_concurrent_runs = limit)
    }

    /// Handling of a tick while runs of earlier ticks have not ended.
    pub fn overlap(self, overlap: OverlapPolicy) -> Self {
        self.set("overlap", |job| job.overlap = overlap.into())
    }

    /// Maximum random delay of a tick's run, up to 24 hours.
    pub fn jitter(self, jitter: Duration) -> Self {
        self.set("jitter", |job| job.jitter = Some(times::to_proto(jitter)))
    }

    /// Handling of ticks that no server decided in time.
    pub fn catch_up(self, catch_up: proto::CatchUpPolicy) -> Self {
        self.set("catch_up", |job| job.catch_up = Some(catch_up))
    }

    /// Retry and timeout policy of the runs.
    pub fn policy(self, policy: proto::RunPolicy) -> Self {
        self.set("policy", |job| job.policy = Some(policy))
    }

    /// Fails with `ABORTED` / `ETAG_MISMATCH` if the job's etag is not this one.
    pub fn etag(mut self, etag: impl Into<String>) -> Self {
        self.job.etag = etag.into();
        self
    }

    /// Only validates: the call returns the job as it would be.
    pub fn validate_only(mut self) -> Self {
        self.validate_only = true;
        self
    }

    fn set(mut self, path: &str, change: impl FnOnce(&mut ScheduledJob)) -> Self {
        self.paths.push(path.to_owned());
        change(&mut self.job);
        self
    }

    fn request(self) -> proto::UpdateScheduledJobRequest {
        proto::UpdateScheduledJobRequest {
            scheduled_job: Some(self.job),
            update_mask: Some(prost_types::FieldMask { paths: self.paths }),
            validate_only: self.validate_only,
        }
    }
}

impl IntoFuture for UpdateJob {
    type Output = Result<ScheduledJob, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let client = self.client.clone();
            let response = client.raw().update_scheduled_job(self.request()).await?;
            required(response.scheduled_job, "scheduled_job")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_mask_names_exactly_the_settings_that_were_set() {
        let client = Client::connect_lazy("127.0.0.1:1").unwrap();

        let update = client.update_job("job").name("New").locations(["46220"]).etag("7");
        let request = update.validate_only().request();

        assert_eq!(request.update_mask.unwrap().paths, ["name", "parameters.locations"]);
        let job = request.scheduled_job.unwrap();
        assert_eq!((&*job.scheduled_job_id, &*job.name, &*job.etag), ("job", "New", "7"));
        assert_eq!(job.parameters.unwrap().locations, ["46220"]);
        assert!(request.validate_only);
    }
}
