//! Lists of runs, page by page.

use futures::Stream;
use futures::future::BoxFuture;

use crate::pages;
use crate::proto::{self, ScrapingJob, ScrapingJobStatus};
use crate::{Client, Error};

/// A list of runs, newest first. Await it for one page, or call [`ListRuns::stream`] for all.
///
/// ```no_run
/// use futures::TryStreamExt;
/// use windrow_client::{Client, Error};
///
/// # async fn example(client: Client) -> Result<(), Error> {
/// let newest = client.list_runs().job("sample_sold_daily").page_size(1).await?.scraping_jobs;
///
/// let failed: Vec<_> = client.list_runs().filter("status = failed").stream().try_collect().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a list does nothing until it is awaited or streamed"]
pub struct ListRuns {
    client: Client,
    request: proto::ListScrapingJobsRequest,
}

impl ListRuns {
    pub(super) fn new(client: &Client) -> Self {
        Self { client: client.clone(), request: proto::ListScrapingJobsRequest::default() }
    }

    /// Only runs of this scheduled job.
    pub fn job(mut self, job_id: impl Into<String>) -> Self {
        self.request.scheduled_job_id = job_id.into();
        self
    }

    /// Only runs with this status.
    pub fn status(mut self, status: ScrapingJobStatus) -> Self {
        self.request.status = status.into();
        self
    }

    /// Only runs that match, for example `status = failed AND origin = scheduled`; the syntax is in
    /// [`proto::ListScrapingJobsRequest`].
    pub fn filter(mut self, filter: impl Into<String>) -> Self {
        self.request.filter = filter.into();
        self
    }

    /// Runs per page, at most 1,000. Default: 50 for one page, 500 for a stream.
    pub fn page_size(mut self, page_size: u32) -> Self {
        self.request.page_size = pages::size(page_size);
        self
    }

    /// Starts with this page: the `next_page_token` of the previous one.
    pub fn page_token(mut self, page_token: impl Into<String>) -> Self {
        self.request.page_token = page_token.into();
        self
    }

    /// Streams the runs of all pages, without those created meanwhile. An error ends the stream.
    pub fn stream(
        mut self,
    ) -> impl Stream<Item = Result<ScrapingJob, Error>> + Send + Unpin + use<> {
        if self.request.page_size == 0 {
            self = self.page_size(pages::STREAM_PAGE_SIZE);
        }
        pages::items(self.request.page_token.clone(), move |token| {
            let page = self.clone().page_token(token).into_future();
            async { page.await.map(|page| (page.scraping_jobs, page.next_page_token)) }
        })
    }
}

impl IntoFuture for ListRuns {
    type Output = Result<proto::ListScrapingJobsResponse, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.client.raw().list_scraping_jobs(self.request).await })
    }
}
