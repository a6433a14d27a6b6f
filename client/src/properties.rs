//! Calls of `PropertyService`. What they promise stands in the proto files.

use std::collections::VecDeque;

use futures::Stream;
use futures::stream::{self, BoxStream};
use tonic::Status;

use crate::client::Retry;
use crate::endpoints::Route;
use crate::reconnect::{PATIENCE, Reconnecting};
use crate::{Client, Error, proto};

impl Client {
    /// Returns one page of properties.
    pub async fn list_properties(
        &self,
        request: proto::ListPropertiesRequest,
    ) -> Result<proto::ListPropertiesResponse, Error> {
        self.call("ListProperties", Retry::Safe, request, |route, request| async move {
            route.properties().list_properties(request).await
        })
        .await
    }

    /// Returns a property with its newest changes.
    pub async fn get_property(
        &self,
        request: proto::GetPropertyRequest,
    ) -> Result<proto::GetPropertyResponse, Error> {
        self.call("GetProperty", Retry::Safe, request, |route, request| async move {
            route.properties().get_property(request).await
        })
        .await
    }

    /// Every property that matches, by source and id, each once, across lost connections and restarted
    /// servers. An error ends the stream.
    pub fn export_properties(
        &self,
        filter: proto::PropertyFilter,
    ) -> impl Stream<Item = Result<proto::Property, Error>> + Send + Unpin + use<> {
        let export = Export {
            line: Reconnecting::new(self, "ExportProperties", PATIENCE),
            request: proto::ExportPropertiesRequest {
                filter: Some(filter),
                page_token: String::new(),
            },
            batch: VecDeque::new(),
            complete: false,
        };
        let properties: BoxStream<'static, _> = Box::pin(stream::try_unfold(export, Export::next));
        properties
    }
}

struct Export {
    line: Reconnecting<proto::ExportPropertiesResponse>,
    /// Its token is where to go on after what was received.
    request: proto::ExportPropertiesRequest,
    batch: VecDeque<proto::Property>,
    /// The last batch has come.
    complete: bool,
}

impl Export {
    async fn next(mut self) -> Result<Option<(proto::Property, Self)>, Error> {
        loop {
            if let Some(property) = self.batch.pop_front() {
                return Ok(Some((property, self)));
            }
            if self.complete {
                return Ok(None);
            }
            if let Err(status) = self.receive().await {
                let loss = self.line.lose(status)?;
                tokio::time::sleep(loss.pause).await;
            }
        }
    }

    async fn receive(&mut self) -> Result<(), Status> {
        let request = self.request.clone();
        let open =
            |route: Route| async move { route.properties().export_properties(request).await };
        let ended = || Status::unavailable("the export ended before its last batch");
        let message = self.line.receive(open).await?.ok_or_else(ended)?;
        self.batch = message.properties.into();
        self.complete = message.next_page_token.is_empty();
        self.request.page_token = message.next_page_token;
        self.line.restore();
        Ok(())
    }
}
