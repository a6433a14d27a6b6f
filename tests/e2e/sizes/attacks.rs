//! Clients of raw HTTP/2 that open very many calls, finish none of them, or read nothing.

use h2::SendStream;
use h2::client::{ResponseFuture, SendRequest};
use prost::Message;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tonic::codegen::{Bytes, http};

use crate::support::program::Program;

/// A connection and its calls. All end when it is dropped.
pub(super) struct Attacker {
    connection: SendRequest<Bytes>,
    pub(super) responses: Vec<ResponseFuture>,
    // Dropping a stream would cancel it.
    streams: Vec<SendStream<Bytes>>,
    _driver: JoinSet<Result<(), h2::Error>>,
}

impl Attacker {
    /// Connects; of each response it reads `window` bytes.
    pub(super) async fn connect(server: &Program, window: u32) -> Self {
        let tcp = TcpStream::connect(&server.address).await.unwrap();
        let mut builder = h2::client::Builder::new();
        let connecting = builder.initial_window_size(window).handshake(tcp);
        let (connection, driver) = connecting.await.unwrap();
        let mut drivers = JoinSet::new();
        drivers.spawn(driver);
        Self { connection, responses: Vec::new(), streams: Vec::new(), _driver: drivers }
    }

    /// Starts a call, and ends its request if `ends`.
    pub(super) async fn call(&mut self, request: http::Request<()>, body: Bytes, ends: bool) {
        self.connection = self.connection.clone().ready().await.unwrap();
        let (response, mut stream) = self.connection.send_request(request, false).unwrap();
        if !body.is_empty() {
            stream.send_data(body, ends).unwrap();
        }
        self.responses.push(response);
        self.streams.push(stream);
    }
}

pub(super) fn request(method: &str) -> http::Request<()> {
    http::Request::post(format!("http://windrow/windrow.v1.{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap()
}

/// A message with its header.
pub(super) fn message(message: &impl Message) -> Bytes {
    frame(&message.encode_to_vec(), 0)
}

/// A message of these bytes, and a number of bytes that do not come.
pub(super) fn frame(bytes: &[u8], missing: usize) -> Bytes {
    let length = u32::try_from(bytes.len() + missing).unwrap();
    [&[0], length.to_be_bytes().as_slice(), bytes].concat().into()
}
