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

use super::calls::Call;
use super::unread::{Counted, Unread, keeping};
use crate::grpc::status::overloaded;

/// HTTP/2 gets a response in parts of this size, and holds up to two of them, which take the room of their call. A
/// smaller response is one part.
const PART: usize = 4 * 1024;
/// Maximum time in which a client has to read a part, and the same while others wait for room.
const PATIENCE: Duration = Duration::from_secs(30);
const LITTLE_PATIENCE: Duration = Duration::from_secs(3);
/// Pause between two looks at the responses.
const PERIOD: Duration = Duration::from_secs(1);

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
    call: Arc<Call>,
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
    let counted = (bytes.len() > PART).then(|| counted(bytes.len(), call)).transpose()?;
    let is_counted = counted.is_some();
    let rest = Rest { bytes, counted, since: Instant::now(), is_dropped: false };
    let page = Arc::new(Page(Mutex::new(rest)));
    if is_counted {
        call.connection.flow.unsent.add(&page);
    }
    let body = UnaryResponse { page, trailers, call: Arc::clone(call) };
    Ok(Response::from_parts(head, Body::new(body)))
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

/// Calls that took turns have waited for room. After a change it is too late to refuse the call.
fn counted(bytes: usize, call: &Call) -> Result<Counted, Status> {
    let connection = &call.connection;
    let unread = [&connection.own.answers, &connection.flow.all.answers];
    if call.method.may_be_repeated() && unread.iter().any(|unread| unread.is_overfull()) {
        return Err(overloaded("too many responses are unread; try again later"));
    }
    Ok(Counted::new(bytes, unread))
}

impl Unsent {
    fn add(&self, page: &Arc<Page>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(page));
    }

    /// Drops responses whose clients have not read for too long. Never returns.
    pub(super) async fn drop_late(&self, all: &Unread) {
        loop {
            sleep(PERIOD).await;
            let patience = if all.has_room() { PATIENCE } else { LITTLE_PATIENCE };
            let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            pages.retain(|page| page.upgrade().is_some_and(|page| !page.drop_if_later(patience)));
        }
    }
}

impl Page {
    fn drop_if_later(&self, patience: Duration) -> bool {
        let mut rest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if rest.since.elapsed() < patience {
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
        Poll::Ready(Some(Ok(Frame::data(keeping(part, Arc::clone(&self.call))))))
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::super::ANSWERS;
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

    #[tokio::test(start_paused = true)]
    async fn a_response_that_is_not_read_is_dropped_sooner_if_others_wait() {
        let call = call("/windrow.v1.ScrapingJobService/ListScrapingJobs");
        let response = Response::new(Body::from(vec![1; ANSWERS]));
        let body = unary_response(response, &call).await.unwrap().into_body();
        let dropping = call.connection.flow.drop_unsent();
        let late = tokio::time::timeout(LITTLE_PATIENCE + 2 * PERIOD, dropping);
        assert!(late.await.is_err(), "it never returns");
        assert!(call.connection.own.answers.is_empty());
        drop(body);
    }

    #[tokio::test]
    async fn the_response_of_a_change_is_never_refused() {
        let answer = async |method: &str| {
            let call = call(&format!("/windrow.v1.Any/{method}"));
            let response = || Response::new(Body::from(vec![1; 2 * ANSWERS]));
            let _unread = unary_response(response(), &call).await.unwrap();
            unary_response(response(), &call).await.map(drop)
        };
        assert!(answer("TriggerJob").await.is_ok());
        assert!(answer("FinishScrapingJob").await.is_ok());
        let refused = answer("LeaseScrapingJobs").await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
    }
}
