//! Cancellation of many runs.

use futures::future::BoxFuture;

use crate::{Client, Error, proto};

/// A call to cancel all pending and running runs that match; await it. See [`Client::cancel_runs`].
///
/// ```no_run
/// # use windrow_client::{Client, Error};
/// # async fn example(client: Client) -> Result<(), Error> {
/// let all = client.cancel_runs().job("sample_sold_daily").filter("status = pending").await?;
/// println!("{} cancelled", all.cancelled);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a call does nothing until it is awaited"]
pub struct CancelRuns {
    client: Client,
    request: proto::CancelScrapingJobsRequest,
}

impl CancelRuns {
    pub(super) fn new(client: &Client) -> Self {
        Self { client: client.clone(), request: proto::CancelScrapingJobsRequest::default() }
    }

    /// Only runs of this scheduled job.
    pub fn job(mut self, job_id: impl Into<String>) -> Self {
        self.request.scheduled_job_id = job_id.into();
        self
    }

    /// Only runs that match; the syntax is in [`proto::ListScrapingJobsRequest`].
    pub fn filter(mut self, filter: impl Into<String>) -> Self {
        self.request.filter = filter.into();
        self
    }

    /// Only counts the runs that would be cancelled.
    pub fn validate_only(mut self) -> Self {
        self.request.validate_only = true;
        self
    }
}

impl IntoFuture for CancelRuns {
    type Output = Result<proto::CancelScrapingJobsResponse, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.client.raw().cancel_scraping_jobs(self.request).await })
    }
}
