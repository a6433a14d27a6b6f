//! Exports: streams of properties that survive lost connections.

use std::collections::VecDeque;

use futures::Stream;
use futures::stream::{self, BoxStream};
use tonic::Status;

use crate::endpoints::Route;
use crate::proto::{self, Property};
use crate::reconnect::{RECONNECT_TIMEOUT, Reconnecting};
use crate::{Client, Error};

/// An export of properties by source and property id; call [`ExportProperties::stream`].
///
/// ```no_run
/// use futures::TryStreamExt;
///
/// # async fn example(client: windrow_client::Client) -> Result<(), windrow_client::Error> {
/// let mut properties = client.export_properties().job("sample_sold_daily").stream();
/// while let Some(property) = properties.try_next().await? {
///     println!("{}", property.property_id);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "an export does nothing until it is streamed"]
pub struct ExportProperties {
    client: Client,
    request: proto::ExportPropertiesRequest,
}

super::filter_methods!(ExportProperties);

impl ExportProperties {
    pub(super) fn new(client: &Client) -> Self {
        Self { client: client.clone(), request: proto::ExportPropertiesRequest::default() }
    }

    /// Streams every property that matches exactly once, across lost connections and restarted servers. An
    /// error ends the stream.
    pub fn stream(self) -> impl Stream<Item = Result<Property, Error>> + Send + Unpin + use<> {
        let export = Export {
            stream: Reconnecting::new(&self.client, "ExportProperties", RECONNECT_TIMEOUT)
                .reporting_every_delay(),
            request: self.request,
            batch: VecDeque::new(),
            is_complete: false,
        };
        let properties: BoxStream<'static, _> = Box::pin(stream::try_unfold(export, Export::next));
        properties
    }
}

struct Export {
    stream: Reconnecting<proto::ExportPropertiesResponse>,
    /// Its page token is the resume position.
    request: proto::ExportPropertiesRequest,
    batch: VecDeque<Property>,
    /// The last batch was received.
    is_complete: bool,
}

impl Export {
    async fn next(mut self) -> Result<Option<(Property, Self)>, Error> {
        loop {
            if let Some(property) = self.batch.pop_front() {
                return Ok(Some((property, self)));
            }
            if self.is_complete {
                return Ok(None);
            }
            if let Err(status) = self.receive().await {
                let loss = self.stream.lose(status)?;
                tokio::time::sleep(loss.pause).await;
            }
        }
    }

    async fn receive(&mut self) -> Result<(), Status> {
        let request = self.request.clone();
        let open =
            |route: Route| async move { route.properties().export_properties(request).await };
        let ended = || Status::unavailable("the export ended before its last batch");
        let message = self.stream.receive(open).await?.ok_or_else(ended)?;
        self.batch = message.properties.into();
        self.is_complete = message.next_page_token.is_empty();
        self.request.page_token = message.next_page_token;
        self.stream.progress();
        Ok(())
    }
}
