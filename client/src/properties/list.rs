//! Lists of properties, page by page.

use futures::Stream;
use futures::future::BoxFuture;

use crate::pages;
use crate::proto::{self, Property};
use crate::{Client, Error};

/// A list of properties by source and property id. Await it for one page, or call [`ListProperties::stream`]
/// for all.
#[derive(Clone, Debug)]
#[must_use = "a list does nothing until it is awaited or streamed"]
pub struct ListProperties {
    client: Client,
    request: proto::ListPropertiesRequest,
}

super::filter_methods!(ListProperties);

impl ListProperties {
    pub(super) fn new(client: &Client) -> Self {
        Self { client: client.clone(), request: proto::ListPropertiesRequest::default() }
    }

    /// Properties per page, at most 1,000. Default: 50 for one page, 500 for a stream.
    pub fn page_size(mut self, page_size: u32) -> Self {
        self.request.page_size = pages::size(page_size);
        self
    }

    /// Starts with this page: the `next_page_token` of the previous one.
    pub fn page_token(mut self, page_token: impl Into<String>) -> Self {
        self.request.page_token = page_token.into();
        self
    }

    /// Streams the properties of all pages. An error ends the stream.
    pub fn stream(mut self) -> impl Stream<Item = Result<Property, Error>> + Send + Unpin + use<> {
        if self.request.page_size == 0 {
            self = self.page_size(pages::STREAM_PAGE_SIZE);
        }
        pages::items(self.request.page_token.clone(), move |token| {
            let page = self.clone().page_token(token).into_future();
            async { page.await.map(|page| (page.properties, page.next_page_token)) }
        })
    }
}

impl IntoFuture for ListProperties {
    type Output = Result<proto::ListPropertiesResponse, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.client.raw().list_properties(self.request).await })
    }
}
