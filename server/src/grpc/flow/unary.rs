//! Single responses: each is encoded at once and counts until it is sent. One that cannot be sent is dropped.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::response::Response;
use http_body::{Body as HttpBody, Frame};
use tokio::time::{Instant, sleep};
use tonic::Status;

use super::calls::{Call, Room};
use super::unread::{Counted, keeping};
use crate::grpc::status::overloaded;

/// Responses up to this size take the room of their call.
const TINY: usize = 1024;
/// HTTP/2 gets a response in parts of this size, and may hold two of them. A smaller response is one part.
const PART: usize = 16 * 1024;
/// Maximum time in which a client has to read a part.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pause between two looks at the responses.
const PERIOD: Duration = Duration::from_secs(5);

/// Responses of more than one part.
#[derive(Debug, Default)]
pub(super) struct Unsent(Mutex<Vec<Weak<Page>>>);

/// A response of more than one part.
#[derive(Debug)]
struct Page(Mutex<Rest>);

#[derive(Debug)]
struct Rest {
    bytes: Bytes,
    counted: Option<Counted>,
    /// Time at which the last part was taken.
    since: Instant,
    is_dropped: bool,
}

struct UnaryResponse {
    page: Arc<Page>,
    trailers: Option<HeaderMap>,
    /// Kept by each part until it is sent.
    kept: Arc<Kept>,
}

struct Kept {
    _call: Arc<Call>,
    _room: Option<Room>,
}

/// The response of a handler, which has ended.
pub(super) async fn unary_response(
    response: Response,
    call: &Arc<Call>,
) -> Result<Response, Status> {
    let (head, body) = response.into_parts();
    let (bytes, trailers) = collected(body).await?;
    if bytes.is_empty() && trailers.is_none() {
        return Ok(Response::from_parts(head, Body::empty()));
    }
    let room = (bytes.len() > TINY).then(|| call.more_room(bytes.len().min(2 * PART)));
    let kept = Arc::new(Kept { _call: Arc::clone(call), _room: room.transpose()? });
    let is_large = bytes.len() > PART;
    let counted = is_large.then(|| counted(bytes.len(), call)).transpose()?;
    let rest = Rest { bytes, counted, since: Instant::now(), is_dropped: false };
    let page = Arc::new(Page(Mutex::new(rest)));
    if is_large {
        call.connection.flow.unsent.add(&page);
    }
    Ok(Response::from_parts(head, Body::new(UnaryResponse { page, trailers, kept })))
}

/// The bytes and the trailers. All of them are ready.
async fn collected(mut body: Body) -> Result<(Bytes, Option<HeaderMap>), Status> {
    let (mut bytes, mut trailers) = (Bytes::new(), None);
    while let Some(frame) =
        std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await
    {
        match frame.map_err(|error| Status::from_error(error.into_inner()))?.into_data() {
            Ok(data) if bytes.is_empty() => bytes = data,
            Ok(data) => bytes = [bytes, data].concat().into(),
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    Ok((bytes, trailers))
}

/// Calls that read have waited for room. The others cannot wait, because they have changed something.
fn counted(bytes: usize, call: &Call) -> Result<Counted, Status> {
    let connection = &call.connection;
    let unread = [&connection.own.answers, &connection.flow.all.answers];
    if !call.method.reads() && unread.iter().any(|unread| unread.is_overfull()) {
        return Err(overloaded("too many responses are unread; the call itself was completed"));
    }
    Ok(Counted::new(bytes, unread))
}

impl Unsent {
    fn add(&self, page: &Arc<Page>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(page));
    }

    /// Drops responses whose clients have not read for too long. Never returns.
    pub(super) async fn drop_late(&self) {
        loop {
            sleep(PERIOD).await;
            let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            pages.retain(|page| page.upgrade().is_some_and(|page| !page.drop_if_late()));
        }
    }
}

impl Page {
    fn drop_if_late(&self) -> bool {
        let mut rest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if rest.since.elapsed() < PATIENCE {
            return false;
        }
        rest.is_dropped = !rest.bytes.is_empty();
        rest.bytes = Bytes::new();
        rest.counted = None;
        true
    }

    /// The next part; empty after the last one, `None` if the rest was dropped.
    fn next(&self) -> Option<Bytes> {
        let mut rest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if rest.is_dropped {
            return None;
        }
        rest.since = Instant::now();
        if rest.counted.is_none() || rest.bytes.is_empty() {
            return Some(std::mem::take(&mut rest.bytes));
        }
        let size = rest.bytes.len().min(PART);
        // A copy, or the part would keep the whole response.
        let part = Bytes::copy_from_slice(&rest.bytes.split_to(size));
        if rest.bytes.is_empty() {
            rest.bytes = Bytes::new();
            rest.counted = None;
        }
        Some(part)
    }
}

impl HttpBody for UnaryResponse {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(part) = self.page.next() else {
            let late = io::Error::from(io::ErrorKind::TimedOut);
            return Poll::Ready(Some(Err(axum::Error::new(late))));
        };
        if part.is_empty() {
            return Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
        }
        Poll::Ready(Some(Ok(Frame::data(keeping(part, Arc::clone(&self.kept))))))
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::super::tests::call;
    use super::*;

    async fn next(body: &mut Body) -> Option<Result<Frame<Bytes>, axum::Error>> {
        std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await
    }

    #[tokio::test]
    async fn a_response_has_the_bytes_of_its_handler() {
        let call = call("/windrow.v1.ScrapingJobService/ListScrapingJobs");
        for size in [0, 10, PART, PART + 1, 10 * PART, 1_000_003] {
            let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(size).collect();
            let response = Response::new(Body::from(bytes.clone()));
            let mut body = unary_response(response, &call).await.unwrap().into_body();
            let mut received = Vec::new();
            while let Some(frame) = next(&mut body).await {
                received.extend(frame.unwrap().into_data().unwrap());
            }
            assert_eq!(received, bytes, "{size}");
        }
        assert!(call.connection.own.answers.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_that_cannot_be_sent_is_dropped() {
        let call = call("/windrow.v1.ScrapingJobService/ListScrapingJobs");
        let response = Response::new(Body::from(vec![1; 1_000_000]));
        let mut body = unary_response(response, &call).await.unwrap().into_body();
        let part = next(&mut body).await.unwrap().unwrap();
        assert!(!call.connection.own.answers.is_empty());

        let dropping = call.connection.flow.drop_unsent();
        let late = tokio::time::timeout(PATIENCE + 2 * PERIOD, dropping);
        assert!(late.await.is_err(), "it never returns");

        assert!(call.connection.own.answers.is_empty());
        assert!(next(&mut body).now_or_never().unwrap().unwrap().is_err());
        drop(part);
    }

    #[tokio::test]
    async fn a_change_whose_response_has_no_room_is_not_kept() {
        let call = call("/windrow.v1.ScrapingJobService/TriggerJob");
        let mut kept = Vec::new();
        let refused = loop {
            let response = Response::new(Body::from(vec![1; 1_000_000]));
            match unary_response(response, &call).await {
                Ok(response) => kept.push(response),
                Err(status) => break status,
            }
        };
        assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
        assert!(kept.len() < 20, "{}", kept.len());
    }
}
