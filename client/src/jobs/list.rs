//! Lists of scheduled jobs, page by page.

use futures::Stream;
use futures::future::BoxFuture;

use crate::pages;
use crate::proto::{self, ScheduledJob, ScheduledJobStatus};
use crate::{Client, Error};

/// A list of scheduled jobs by id. Await it for one page, or call [`ListJobs::stream`] for all.
///
/// ```no_run
/// use futures::TryStreamExt;
/// use windrow_client::{Client, Error};
///
/// # async fn example(client: Client) -> Result<(), Error> {
/// let first = client.list_jobs().page_size(10).await?;
/// println!("{} of {} jobs", first.scheduled_jobs.len(), first.total);
///
/// let mut jobs = client.list_jobs().filter("labels.team = sales").stream();
/// while let Some(job) = jobs.try_next().await? {
///     println!("{}", job.name);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a list does nothing until it is awaited or streamed"]
pub struct ListJobs {
    client: Client,
    request: proto::ListScheduledJobsRequest,
}

impl ListJobs {
    pub(super) fn new(client: &Client) -> Self {
        Self { client: client.clone(), request: proto::ListScheduledJobsRequest::default() }
    }

    /// Only jobs with this status.
    pub fn status(mut self, status: ScheduledJobStatus) -> Self {
        self.request.status = status.into();
        self
    }

    /// Only jobs that match, for example `labels.team = sales AND NOT labels:draft`; the syntax is in
    /// [`proto::ListScheduledJobsRequest`].
    pub fn filter(mut self, filter: impl Into<String>) -> Self {
        self.request.filter = filter.into();
        self
    }

    /// Includes deleted jobs, which are hidden by default.
    pub fn show_deleted(mut self) -> Self {
        self.request.show_deleted = true;
        self
    }

    /// Jobs per page, at most 1,000. Default: 50 for one page, 500 for a stream.
    pub fn page_size(mut self, page_size: u32) -> Self {
        self.request.page_size = pages::size(page_size);
        self
    }

    /// Starts with this page: the `next_page_token` of the previous one.
    pub fn page_token(mut self, page_token: impl Into<String>) -> Self {
        self.request.page_token = page_token.into();
        self
    }

    /// Streams the jobs of all pages. An error ends the stream.
    pub fn stream(
        mut self,
    ) -> impl Stream<Item = Result<ScheduledJob, Error>> + Send + Unpin + use<> {
        if self.request.page_size == 0 {
            self = self.page_size(pages::STREAM_PAGE_SIZE);
        }
        pages::items(self.request.page_token.clone(), move |token| {
            let page = self.clone().page_token(token).into_future();
            async { page.await.map(|page| (page.scheduled_jobs, page.next_page_token)) }
        })
    }
}

impl IntoFuture for ListJobs {
    type Output = Result<proto::ListScheduledJobsResponse, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.client.raw().list_scheduled_jobs(self.request).await })
    }
}
