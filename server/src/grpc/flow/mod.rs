//! Bounds the memory that clients can use up, for each connection and in all:
//!
//! - every call, from its start until the last byte of its response is sent ([`calls`]);
//! - large messages, until they are handled ([`request`]);
//! - responses that their clients have not read ([`streamed`], [`unary`]);
//! - calls that use the database at the same time ([`turns`]).
//!
//! A client that sends or reads slowly delays its own calls only, unless many connections do so at the same time.

mod calls;
mod frames;
mod method;
mod request;
mod streamed;
mod turns;
mod unary;
mod unread;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use tokio::sync::Semaphore;
use tonic::Status;
use tonic::service::Routes;

use self::calls::Call;
use self::request::{bounded_request, received_request};
use self::streamed::streamed_response;
use self::unary::{Unsent, unary_response};
use self::unread::Unread;
use super::CallLimits;
use crate::listener::Peer;

const MIB: usize = 1024 * 1024;
/// Bytes of large messages of one connection that arrive or are handled, and of all: two of the largest, and six.
const REQUESTS_OF_CONNECTION: usize = 2 * super::MAX_REQUEST_SIZE;
const REQUESTS: usize = 6 * super::MAX_REQUEST_SIZE;
/// Bytes of large messages that are decoded and handled at the same time: one of the largest. JSON takes up to 25 times
/// its size.
const DECODED: usize = super::MAX_REQUEST_SIZE;
/// Bytes of unread streams of one connection, and of all, beyond which no more are made.
const STREAMED_OF_CONNECTION: usize = 8 * MIB;
const STREAMED: usize = 24 * MIB;
/// Bytes of unread responses of one connection, and of all, beyond which further calls have to wait.
const ANSWERS_OF_CONNECTION: usize = 4 * MIB;
const ANSWERS: usize = 16 * MIB;
/// Number of connections at which those that have ended are first forgotten.
const CONNECTIONS: usize = 64;

/// The room of all connections.
#[derive(Debug)]
pub(super) struct Flow {
    all: Bounds,
    /// For calls without which runs would be lost.
    reserve: Arc<Semaphore>,
    decoded: Arc<Semaphore>,
    unsent: Unsent,
    limits: CallLimits,
    connections: Mutex<HashMap<Option<SocketAddr>, Weak<Connection>>>,
}

/// The room of one connection, while it has calls in progress.
#[derive(Debug)]
struct Connection {
    own: Bounds,
    flow: Arc<Flow>,
}

#[derive(Debug)]
struct Bounds {
    calls: Arc<Semaphore>,
    requests: Arc<Semaphore>,
    reads: Arc<Semaphore>,
    changes: Arc<Semaphore>,
    exports: Arc<Semaphore>,
    streamed: Arc<Unread>,
    answers: Arc<Unread>,
}

impl Flow {
    pub(super) fn new(limits: CallLimits) -> Arc<Self> {
        let all = Bounds {
            calls: Arc::new(Semaphore::new(calls::in_all(limits))),
            requests: Arc::new(Semaphore::new(REQUESTS)),
            reads: Arc::new(Semaphore::new(turns::reads(limits))),
            changes: Arc::new(Semaphore::new(turns::CHANGES)),
            exports: Arc::new(Semaphore::new(turns::EXPORTS)),
            streamed: Arc::new(Unread::new(STREAMED)),
            answers: Arc::new(Unread::new(ANSWERS)),
        };
        Arc::new(Self {
            all,
            reserve: Arc::new(Semaphore::new(calls::RESERVE)),
            decoded: Arc::new(Semaphore::new(DECODED)),
            unsent: Unsent::default(),
            limits,
            connections: Mutex::default(),
        })
    }

    /// The routes, with bounded requests and responses.
    pub(super) fn bounded(self: &Arc<Self>, routes: Routes) -> Routes {
        let layer = axum::middleware::from_fn_with_state(Arc::clone(self), call);
        Routes::from(routes.into_axum_router().layer(layer))
    }

    /// Drops responses that cannot be sent. Never returns.
    pub(super) async fn drop_unsent(&self) {
        self.unsent.drop_late(&self.all.answers).await;
    }

    fn connection(self: &Arc<Self>, address: Option<SocketAddr>) -> Arc<Connection> {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = connections.get(&address).and_then(Weak::upgrade) {
            return connection;
        }
        if connections.len() >= CONNECTIONS && connections.len() == connections.capacity() {
            connections.retain(|_, connection| connection.strong_count() > 0);
        }
        let own = Bounds {
            calls: Arc::new(Semaphore::new(calls::of_connection(self.limits))),
            requests: Arc::new(Semaphore::new(REQUESTS_OF_CONNECTION)),
            reads: Arc::new(Semaphore::new(turns::reads_of_connection(self.limits))),
            changes: Arc::new(Semaphore::new(turns::CHANGES_OF_CONNECTION)),
            exports: Arc::new(Semaphore::new(turns::EXPORTS_OF_CONNECTION)),
            streamed: Arc::new(Unread::new(STREAMED_OF_CONNECTION)),
            answers: Arc::new(Unread::new(ANSWERS_OF_CONNECTION)),
        };
        let connection = Arc::new(Connection { own, flow: Arc::clone(self) });
        connections.insert(address, Arc::downgrade(&connection));
        connection
    }
}

async fn call(State(flow): State<Arc<Flow>>, request: Request, next: Next) -> Response {
    let connection = flow.connection(address(&request));
    let answered = match Call::start(connection, &request) {
        Ok(call) => answer(&call, request, next).await,
        Err(status) => Err(status),
    };
    answered.unwrap_or_else(Status::into_http)
}

async fn answer(call: &Arc<Call>, request: Request, next: Next) -> Result<Response, Status> {
    let method = call.method;
    let export = method.exports().then(|| call.connection.export()).transpose()?;
    // A call takes its turn only when its request is here, or the client could hold it without end.
    let (request, turn) = if method.takes_turns() {
        let (head, body) = request.into_parts();
        let received = received_request(body, Arc::clone(call)).await?;
        let turn = call.connection.turn(method).await?;
        (Request::from_parts(head, received.decodable(call).await?), Some(turn))
    } else {
        (request.map(|body| bounded_request(body, Arc::clone(call))), None)
    };
    let response = next.run(request).await;
    if method.has_one_message() {
        call.forget_message();
    }
    let response = if method.is_unary() {
        unary_response(response, call).await
    } else {
        Ok(response.map(|body| streamed_response(body, Arc::clone(call), export)))
    };
    drop(turn);
    response
}

fn address(request: &Request) -> Option<SocketAddr> {
    Some(request.extensions().get::<Peer>()?.address)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::body::Body;
    use axum::routing::post;
    use axum::{Router, http};
    use futures::FutureExt as _;
    use tonic::codegen::Service as _;

    use super::unread::Counted;
    use super::*;

    const LIMITS: CallLimits = CallLimits {
        watches: 10_000,
        watches_per_client: 1_000,
        database_connections: 16,
        connection_age: None,
    };

    /// A call on a connection of its own.
    pub(super) fn call(path: &str) -> Arc<Call> {
        let request = http::Request::post(path).body(Body::empty()).unwrap();
        Call::start(Flow::new(LIMITS).connection(None), &request).unwrap()
    }

    #[tokio::test]
    async fn a_call_that_takes_turns_is_not_handled_before_there_is_room_for_its_response() {
        for (method, handled_at_once) in [("TriggerJob", 0), ("Heartbeat", 1)] {
            let path = format!("/windrow.v1.AnyService/{method}");
            let handled = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&handled);
            let respond = move || async move { count.fetch_add(1, Ordering::Relaxed) }.map(drop);
            let flow = Flow::new(LIMITS);
            let mut routes = flow.bounded(Routes::from(Router::new().route(&path, post(respond))));
            let connection = flow.connection(None);
            let answers = [&connection.own.answers, &flow.all.answers];
            let unread = Counted::new(ANSWERS_OF_CONNECTION, answers);

            let request = http::Request::post(path).body(tonic::body::Body::empty()).unwrap();
            let mut call = Box::pin(routes.call(request));
            let early = futures::poll!(&mut call);
            assert_eq!(handled.load(Ordering::Relaxed), handled_at_once, "{method}");
            drop(unread);
            if early.is_pending() {
                call.await.unwrap();
            }
            assert_eq!(handled.load(Ordering::Relaxed), 1, "{method}");
        }
    }
}
