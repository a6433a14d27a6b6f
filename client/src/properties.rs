//! Calls of `PropertyService`. What they promise stands in the proto files.

use std::collections::VecDeque;

use futures::Stream;
use futures::stream::{self, BoxStream};
use tonic::{Status, Streaming};

use crate::client::Retry;
use crate::patience::Patience;
use crate::{CALL_DEADLINE, Client, Error, proto};

impl Client {
    /// Returns one page of properties.
    pub async fn list_properties(
        &self,
        request: proto::ListPropertiesRequest,
    ) -> Result<proto::ListPropertiesResponse, Error> {
        self.call(Retry::Safe, request, |request| {
            let mut properties = self.properties.clone();
            async move { properties.list_properties(request).await }
        })
        .await
    }

    /// Returns a property with its newest changes.
    pub async fn get_property(
        &self,
        request: proto::GetPropertyRequest,
    ) -> Result<proto::GetPropertyResponse, Error> {
        self.call(Retry::Safe, request, |request| {
            let mut properties = self.properties.clone();
            async move { properties.get_property(request).await }
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
            client: self.clone(),
            request: proto::ExportPropertiesRequest {
                filter: Some(filter),
                page_token: String::new(),
            },
            stream: None,
            batch: VecDeque::new(),
            complete: false,
            patience: Patience::default(),
        };
        let properties: BoxStream<'static, _> = Box::pin(stream::try_unfold(export, Export::next));
        properties
    }
}

struct Export {
    client: Client,
    /// Its token is where to go on after what was received.
    request: proto::ExportPropertiesRequest,
    stream: Option<Streaming<proto::ExportPropertiesResponse>>,
    batch: VecDeque<proto::Property>,
    /// The last batch has come.
    complete: bool,
    patience: Patience,
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
                self.stream = None;
                self.patience.bear(self.client.server(), status).await?;
            }
        }
    }

    async fn receive(&mut self) -> Result<(), Status> {
        if self.stream.is_none() {
            self.stream = Some(self.open().await?);
        }
        let Some(stream) = &mut self.stream else { return Ok(()) };
        let ended = || Status::unavailable("the export ended before its last batch");
        let message = stream.message().await?.ok_or_else(ended)?;
        self.batch = message.properties.into();
        self.complete = message.next_page_token.is_empty();
        self.request.page_token = message.next_page_token;
        self.patience.restore();
        Ok(())
    }

    async fn open(&self) -> Result<Streaming<proto::ExportPropertiesResponse>, Status> {
        let mut properties = self.client.properties.clone();
        // Not `set_timeout`: that would end the whole stream.
        let opened = properties.export_properties(self.request.clone());
        match tokio::time::timeout(CALL_DEADLINE, opened).await {
            Ok(response) => Ok(response?.into_inner()),
            Err(_) => Err(Status::unavailable("the server did not begin the export in time")),
        }
    }
}
