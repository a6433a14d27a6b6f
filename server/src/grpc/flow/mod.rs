//! Bounds the memory that clients can use up: the bytes of requests that are not handled yet, and those of responses
//! that their clients have not read, for each connection and in all.
//!
//! A client that sends or reads slowly delays its own calls only, unless many connections do so at the same time.

mod frames;
mod request;
mod response;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use tokio::sync::Semaphore;
use tonic::service::Routes;
use tonic::transport::server::TcpConnectInfo;

use self::request::bounded_request;
use self::response::{Unread, bounded_response};

/// Maximum bytes of requests in memory of one connection, and of all: two of the largest, and sixteen.
const REQUESTS_OF_CONNECTION: usize = 2 * super::MAX_REQUEST_SIZE;
const REQUESTS: usize = 16 * super::MAX_REQUEST_SIZE;
/// Bytes of unread responses of one connection, and of all, beyond which no more are made.
const RESPONSES_OF_CONNECTION: usize = 16 * 1024 * 1024;
const RESPONSES: usize = 96 * 1024 * 1024;
/// Number of connections at which those that have ended are first forgotten.
const CONNECTIONS: usize = 64;

/// The bytes of all connections.
#[derive(Debug)]
struct Flow {
    requests: Arc<Semaphore>,
    responses: Arc<Unread>,
    connections: Mutex<HashMap<Option<SocketAddr>, Weak<Connection>>>,
}

/// The bytes of one connection, while it has calls in progress.
#[derive(Debug)]
struct Connection {
    requests: [Arc<Semaphore>; 2],
    responses: [Arc<Unread>; 2],
}

/// The routes, with bounded requests and responses.
pub(super) fn bounded(routes: Routes) -> Routes {
    let flow = Arc::new(Flow {
        requests: Arc::new(Semaphore::new(REQUESTS)),
        responses: Arc::new(Unread::new(RESPONSES)),
        connections: Mutex::default(),
    });
    let layer = axum::middleware::from_fn_with_state(flow, call);
    Routes::from(routes.into_axum_router().layer(layer))
}

async fn call(State(flow): State<Arc<Flow>>, request: Request, next: Next) -> Response {
    let connection = flow.connection(address(&request));
    let request = request.map(|body| bounded_request(body, Arc::clone(&connection)));
    next.run(request).await.map(|body| bounded_response(body, connection))
}

fn address(request: &Request) -> Option<SocketAddr> {
    request.extensions().get::<TcpConnectInfo>()?.remote_addr()
}

impl Flow {
    fn connection(&self, address: Option<SocketAddr>) -> Arc<Connection> {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = connections.get(&address).and_then(Weak::upgrade) {
            return connection;
        }
        if connections.len() >= CONNECTIONS && connections.len() == connections.capacity() {
            connections.retain(|_, connection| connection.strong_count() > 0);
        }
        let own = Arc::new(Semaphore::new(REQUESTS_OF_CONNECTION));
        let connection = Arc::new(Connection {
            requests: [own, Arc::clone(&self.requests)],
            responses: [
                Arc::new(Unread::new(RESPONSES_OF_CONNECTION)),
                Arc::clone(&self.responses),
            ],
        });
        connections.insert(address, Arc::downgrade(&connection));
        connection
    }
}
