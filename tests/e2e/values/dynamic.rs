//! Calls of any method, with messages of any type.

use prost::Message;
use prost_reflect::{DynamicMessage, MessageDescriptor, MethodDescriptor};
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::support::PATIENCE;

/// The result of a call; of a stream, that of its first message, which has to have a JSON form.
pub async fn call(
    grpc: &Grpc<Channel>,
    method: &MethodDescriptor,
    request: DynamicMessage,
) -> Result<(), Code> {
    let mut grpc = grpc.clone();
    grpc.ready().await.unwrap();
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    let path = path.parse().unwrap();
    // A unary call is a stream of one message in each direction.
    let request = Request::new(tokio_stream::once(request));
    let first = async {
        let response = grpc.streaming(request, path, Dynamic(method.output())).await?;
        response.into_inner().message().await
    };
    let first = tokio::time::timeout(PATIENCE, first).await.expect("no response");
    match first {
        Ok(message) => {
            serde_json::to_string(&message).expect("no JSON form");
            Ok(())
        }
        Err(status) => Err(status.code()),
    }
}

/// Messages of any type. The decoder needs the type.
#[derive(Clone)]
struct Dynamic(MessageDescriptor);

impl Codec for Dynamic {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        self.clone()
    }

    fn decoder(&mut self) -> Self {
        self.clone()
    }
}

impl Encoder for Dynamic {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, item: DynamicMessage, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(to).map_err(|error| Status::internal(error.to_string()))
    }
}

impl Decoder for Dynamic {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let message = DynamicMessage::decode(self.0.clone(), from);
        message.map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}
