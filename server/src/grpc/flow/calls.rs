//! The room of a call: it is taken at the start, and returned when the last byte of the response is sent.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

use super::Connection;
use super::method::Method;
use crate::grpc::status::overloaded;
use crate::grpc::{CONCURRENT_CALLS, CallLimits};

/// Memory of a call with the usual headers and a small message.
const CALL: usize = 12 * 1024;
/// Memory of the parts of a response that HTTP/2 holds, when the handler has returned; or of a stream of requests. A
/// watch has neither.
const ANSWER: usize = 4 * 1024;
/// For calls that may use the reserve.
pub(super) const RESERVE: usize = 4 * 1024 * 1024;
/// Number of watches for which there is room, even if fewer may be open.
const LEAST_WATCHES: u32 = 10_000;
/// Memory of the usual headers, which [`CALL`] includes.
const HEADERS: usize = 4 * 1024;
/// Memory of a header in addition to twice its texts.
const HEADER: usize = 256;

/// Memory of the calls of all connections: the watches that may be open, and as many other calls as one connection may
/// have.
pub(super) fn in_all(limits: CallLimits) -> usize {
    memory(limits.watches.max(LEAST_WATCHES))
}

/// The same for one connection.
pub(super) fn of_connection(limits: CallLimits) -> usize {
    memory(limits.watches_per_client).min(in_all(limits))
}

fn memory(watches: u32) -> usize {
    let bytes = |calls: u32, each: usize| usize::try_from(calls).map(|it| it.saturating_mul(each));
    let watches = bytes(watches, CALL).unwrap_or(usize::MAX);
    let others = bytes(CONCURRENT_CALLS, CALL + ANSWER).unwrap_or(usize::MAX);
    watches.saturating_add(others).min(Semaphore::MAX_PERMITS)
}

/// A call in progress. Its request has it, and each part of its response until that is sent.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) connection: Arc<Connection>,
    pub(super) method: Method,
    _room: Room,
    message: Mutex<Message>,
}

/// Room of a call, or for a part of it.
#[derive(Debug)]
pub(super) struct Room {
    _own: Option<OwnedSemaphorePermit>,
    _all: OwnedSemaphorePermit,
}

/// The room of a message while it arrives and is handled.
#[derive(Debug, Default)]
struct Message {
    small: Vec<Room>,
    large: Vec<OwnedSemaphorePermit>,
}

impl Call {
    pub(super) fn start(
        connection: Arc<Connection>,
        request: &Request,
    ) -> Result<Arc<Self>, Status> {
        let method = Method::of(request.uri().path());
        let answer = if method.watches() { 0 } else { ANSWER };
        let room = connection.room(memory_of(request) + answer, method)?;
        Ok(Arc::new(Self { connection, method, _room: room, message: Mutex::default() }))
    }

    /// More room for this call, or the error of a call for which there is none.
    pub(super) fn more_room(&self, bytes: usize) -> Result<Room, Status> {
        self.connection.room(bytes, self.method)
    }

    /// Keeps room until the message is handled.
    pub(super) fn keep_small(&self, room: Room) {
        self.message.lock().unwrap_or_else(PoisonError::into_inner).small.push(room);
    }

    pub(super) fn keep_large(&self, room: OwnedSemaphorePermit) {
        self.message.lock().unwrap_or_else(PoisonError::into_inner).large.push(room);
    }

    pub(super) fn forget_message(&self) {
        let mut message = self.message.lock().unwrap_or_else(PoisonError::into_inner);
        *message = Message::default();
    }

    /// Returns the room of a large message. That of a small one may still be in use.
    pub(super) fn forget_large(&self) {
        self.message.lock().unwrap_or_else(PoisonError::into_inner).large.clear();
    }
}

impl Connection {
    fn room(&self, bytes: usize, method: Method) -> Result<Room, Status> {
        let count = u32::try_from(bytes).unwrap_or(u32::MAX);
        let take = |room: &Arc<Semaphore>| Arc::clone(room).try_acquire_many_owned(count).ok();
        let regular = || {
            let own = take(&self.own.calls)?;
            Some(Room { _own: Some(own), _all: take(&self.flow.all.calls)? })
        };
        let reserved = || {
            let all = method.may_use_reserve().then(|| take(&self.flow.reserve)).flatten()?;
            Some(Room { _own: None, _all: all })
        };
        let room = regular().or_else(reserved);
        room.ok_or_else(|| overloaded("too many calls are in progress; try again later"))
    }
}

/// Memory of a call whose request has these headers.
fn memory_of(request: &Request) -> usize {
    let headers = request.headers();
    let text = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len();
    let path = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    let texts = path + headers.iter().map(text).sum::<usize>();
    CALL + (2 * texts + HEADER * headers.len()).saturating_sub(HEADERS)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http;

    use super::super::Flow;
    use super::*;

    const LIMITS: CallLimits = CallLimits {
        watches: 10_000,
        watches_per_client: 1_000,
        database_connections: 16,
        connection_age: None,
    };

    fn request(path: &str) -> Request {
        http::Request::post(path).header("te", "trailers").body(Body::empty()).unwrap()
    }

    #[test]
    fn ten_thousand_watches_have_room_and_a_flood_of_calls_has_not() {
        let flow = Flow::new(LIMITS);
        let watch = request("/windrow.v1.ScrapingJobService/WatchScrapingJobs");
        let address = |port: u16| Some(([127, 0, 0, 1], port).into());
        let start = |port: u16| Call::start(flow.connection(address(port)), &watch);
        let calls: Vec<_> = (0..10_000).map(|number| start(number / 1_000).unwrap()).collect();
        let more: Vec<_> = (0..2_000).map_while(|_| start(10).ok()).collect();
        assert!((1_000..1_400).contains(&more.len()), "{}", more.len());

        let heartbeat = request("/windrow.v1.WorkerService/Heartbeat");
        let renewed = Call::start(flow.connection(address(11)), &heartbeat);
        assert!(renewed.is_ok(), "a heartbeat uses the reserve");
        drop(calls);
        assert!(start(12).is_ok());
    }

    #[test]
    fn one_connection_has_a_share() {
        let flow = Flow::new(LIMITS);
        let submit = request("/windrow.v1.WorkerService/SubmitProperties");
        let of = |port: u16| flow.connection(Some(([127, 0, 0, 1], port).into()));
        let connection = of(1);
        let calls: Vec<_> =
            (0..20_000).map_while(|_| Call::start(Arc::clone(&connection), &submit).ok()).collect();
        assert_eq!(calls.len(), 1_750);
        assert!(Call::start(of(2), &submit).is_ok());
    }

    #[test]
    fn long_headers_take_room() {
        let long = http::Request::post("/").header("x", "y".repeat(10_000));
        let long = long.body(Body::empty()).unwrap();
        assert_eq!(memory_of(&request("/windrow.v1.Any/Get")), CALL);
        assert!(memory_of(&long) > CALL + 15_000);
    }
}
