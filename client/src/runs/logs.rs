//! Logs of runs, page by page.

use futures::Stream;
use futures::future::BoxFuture;

use crate::pages;
use crate::proto::{self, ScrapingJobLog, ScrapingJobLogLevel};
use crate::{Client, Error};

/// The log of a run by line number. Await it for one page, or call [`ListLogs::stream`] for all.
#[derive(Clone, Debug)]
#[must_use = "a list does nothing until it is awaited or streamed"]
pub struct ListLogs {
    client: Client,
    request: proto::ListScrapingJobLogsRequest,
}

impl ListLogs {
    pub(super) fn new(client: &Client, job_id: String) -> Self {
        let request = proto::ListScrapingJobLogsRequest { job_id, ..Default::default() };
        Self { client: client.clone(), request }
    }

    /// Only lines of this attempt, counted from 1.
    pub fn attempt(mut self, attempt: i32) -> Self {
        self.request.attempt = attempt;
        self
    }

    /// Only lines about this location.
    pub fn location(mut self, location: impl Into<String>) -> Self {
        self.request.location = location.into();
        self
    }

    /// Only lines of this level and above.
    pub fn min_level(mut self, level: ScrapingJobLogLevel) -> Self {
        self.request.min_level = level.into();
        self
    }

    /// Only lines after this number: the last one seen, to follow a running run.
    pub fn after(mut self, number: i64) -> Self {
        self.request.after_number = number;
        self
    }

    /// Lines per page, at most 1,000. Default: 50 for one page, 500 for a stream.
    pub fn page_size(mut self, page_size: u32) -> Self {
        self.request.page_size = pages::size(page_size);
        self
    }

    /// Starts with this page: the `next_page_token` of the previous one.
    pub fn page_token(mut self, page_token: impl Into<String>) -> Self {
        self.request.page_token = page_token.into();
        self
    }

    /// Streams the lines of all pages up to the last one so far. An error ends the stream.
    pub fn stream(
        mut self,
    ) -> impl Stream<Item = Result<ScrapingJobLog, Error>> + Send + Unpin + use<> {
        if self.request.page_size == 0 {
            self = self.page_size(pages::STREAM_PAGE_SIZE);
        }
        pages::items(self.request.page_token.clone(), move |token| {
            let page = self.clone().page_token(token).into_future();
            async { page.await.map(|page| (page.logs, page.next_page_token)) }
        })
    }
}

impl IntoFuture for ListLogs {
    type Output = Result<proto::ListScrapingJobLogsResponse, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.client.raw().list_scraping_job_logs(self.request).await })
    }
}
