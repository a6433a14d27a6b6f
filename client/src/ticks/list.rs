//! The tick ledger of a job, page by page.

use futures::Stream;
use futures::future::BoxFuture;

use crate::pages;
use crate::proto::{self, DecidedTick};
use crate::{Client, Error};

/// The tick ledger of a scheduled job, newest first. Await it for one page, or call [`ListTicks::stream`] for
/// all.
#[derive(Clone, Debug)]
#[must_use = "a list does nothing until it is awaited or streamed"]
pub struct ListTicks {
    client: Client,
    request: proto::ListTicksRequest,
}

impl ListTicks {
    pub(super) fn new(client: &Client, scheduled_job_id: String) -> Self {
        let request = proto::ListTicksRequest { scheduled_job_id, ..Default::default() };
        Self { client: client.clone(), request }
    }

    /// Entries per page, at most 1,000. Default: 50 for one page, 500 for a stream.
    pub fn page_size(mut self, page_size: u32) -> Self {
        self.request.page_size = pages::size(page_size);
        self
    }

    /// Starts with this page: the `next_page_token` of the previous one.
    pub fn page_token(mut self, page_token: impl Into<String>) -> Self {
        self.request.page_token = page_token.into();
        self
    }

    /// Streams the entries of all pages. An error ends the stream.
    pub fn stream(
        mut self,
    ) -> impl Stream<Item = Result<DecidedTick, Error>> + Send + Unpin + use<> {
        if self.request.page_size == 0 {
            self = self.page_size(pages::STREAM_PAGE_SIZE);
        }
        pages::items(self.request.page_token.clone(), move |token| {
            let page = self.clone().page_token(token).into_future();
            async { page.await.map(|page| (page.ticks, page.next_page_token)) }
        })
    }
}

impl IntoFuture for ListTicks {
    type Output = Result<proto::ListTicksResponse, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.client.raw().list_ticks(self.request).await })
    }
}
