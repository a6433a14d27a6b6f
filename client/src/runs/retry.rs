//! Runs for the locations that an earlier run did not complete.

use futures::future::BoxFuture;

use crate::error::required;
use crate::proto::{self, ScrapingJob, ScrapingJobPriority};
use crate::{Client, Error};

/// A call to retry the failed locations of an ended run; await it for the new run. See
/// [`Client::retry_failed_locations`].
#[derive(Clone, Debug)]
#[must_use = "a call does nothing until it is awaited"]
pub struct RetryFailedLocations {
    client: Client,
    request: proto::RetryFailedLocationsRequest,
}

impl RetryFailedLocations {
    pub(super) fn new(client: &Client, job_id: String) -> Self {
        let request = proto::RetryFailedLocationsRequest { job_id, ..Default::default() };
        Self { client: client.clone(), request }
    }

    /// Priority of the new run. Default: immediate.
    pub fn priority(mut self, priority: ScrapingJobPriority) -> Self {
        self.request.priority = priority.into();
        self
    }

    /// Makes calls of several processes idempotent: a UUID or up to 64 printable characters. Default: one
    /// per call.
    pub fn request_id(mut self, request_id: impl Into<String>) -> Self {
        self.request.request_id = request_id.into();
        self
    }

    /// Only validates: the call returns the run that would be created, without an id.
    pub fn validate_only(mut self) -> Self {
        self.request.validate_only = true;
        self
    }
}

impl IntoFuture for RetryFailedLocations {
    type Output = Result<ScrapingJob, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let response = self.client.raw().retry_failed_locations(self.request).await?;
            required(response.scraping_job, "scraping_job")
        })
    }
}
