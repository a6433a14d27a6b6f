//! Streams of responses: while a client does not read, no more is made for its connection than a number of bytes.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes};
use futures::future::BoxFuture;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::calls::Call;
use super::turns::Turn;
use super::unread::{Counted, Unread, keeping};

/// Each part of the response counts until HTTP/2 has sent it.
struct StreamedResponse {
    inner: Body,
    call: Arc<Call>,
    _export: Option<Turn>,
    waiting: Option<BoxFuture<'static, ()>>,
}

pub(super) fn streamed_response(body: Body, call: Arc<Call>, export: Option<Turn>) -> Body {
    Body::new(StreamedResponse { inner: body, call, _export: export, waiting: None })
}

impl StreamedResponse {
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.call.method.answers_briefly() {
            return Poll::Ready(());
        }
        loop {
            if let Some(waiting) = &mut self.waiting {
                ready!(waiting.as_mut().poll(cx));
                self.waiting = None;
            }
            let full = self.unread().into_iter().find(|unread| !unread.has_room());
            let Some(full) = full.map(Arc::clone) else { return Poll::Ready(()) };
            self.waiting = Some(Box::pin(full.wait()));
        }
    }

    fn unread(&self) -> [&Arc<Unread>; 2] {
        let connection = &self.call.connection;
        [&connection.own.streamed, &connection.flow.all.streamed]
    }

    /// The frame, which counts until it is sent. It answers a message, which is handled now.
    fn counted(&self, frame: Frame<Bytes>) -> Frame<Bytes> {
        self.call.forget_large();
        frame.map_data(|bytes| {
            let counted = Counted::new(bytes.len(), self.unread());
            keeping(bytes, (counted, Arc::clone(&self.call)))
        })
    }
}

impl HttpBody for StreamedResponse {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        ready!(self.poll_room(cx));
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        Poll::Ready(frame.map(|frame| frame.map(|frame| self.counted(frame))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tokio::time::timeout;

    use super::super::tests::call;
    use super::super::{MIB, STREAMED};
    use super::*;

    async fn next(body: &mut Body) -> Option<Bytes> {
        let frame = std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await?;
        Some(frame.unwrap().into_data().unwrap())
    }

    #[tokio::test]
    async fn a_response_waits_until_the_others_of_its_connection_are_sent() {
        let call = call("/windrow.v1.ScrapingJobService/WatchScrapingJobs");
        let body = || streamed_response(Body::from(vec![0; 5 * MIB]), Arc::clone(&call), None);
        let (mut first, mut second, mut third) = (body(), body(), body());
        let sent = next(&mut first).await.unwrap();
        let unsent = next(&mut second).await.unwrap();
        assert_eq!(next(&mut third).now_or_never(), None, "10 MiB of 8 are unsent");
        // The body has ended, and its bytes still count.
        assert_eq!(next(&mut first).now_or_never(), None);
        drop(first);
        let waiting = timeout(std::time::Duration::from_mins(1), next(&mut third));
        let (read, ()) = tokio::join!(waiting, async { drop(sent) });
        assert_eq!(read.unwrap().map(|bytes| bytes.len()), Some(5 * MIB));
        drop(unsent);
    }

    #[tokio::test]
    async fn a_health_check_does_not_wait_for_the_streams_of_others() {
        let check = call("/grpc.health.v1.Health/Check");
        let full = Counted::new(
            STREAMED,
            [&check.connection.own.streamed, &check.connection.flow.all.streamed],
        );
        let mut body = streamed_response(Body::from("serving"), Arc::clone(&check), None);
        assert!(next(&mut body).now_or_never().is_some());
        drop(full);
    }
}
