//! Responses: while a client does not read, no more is made for its connection than a number of bytes.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes};
use futures::future::BoxFuture;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::Notify;

use super::Connection;

/// Bytes that were made and that clients have not read.
#[derive(Debug)]
pub(super) struct Unread {
    limit: usize,
    bytes: AtomicUsize,
    room: Notify,
}

impl Unread {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, bytes: AtomicUsize::new(0), room: Notify::new() }
    }

    fn has_room(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) < self.limit
    }

    async fn wait(self: Arc<Self>) {
        // Register before looking, or room that is made in between would be missed.
        let room = self.room.notified();
        if !self.has_room() {
            room.await;
        }
    }

    fn remove(&self, bytes: usize) {
        let before = self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        if before >= self.limit && before - bytes < self.limit {
            self.room.notify_waiters();
        }
    }
}

/// A response. Its last bytes count as read when the next ones are asked for: HTTP/2 does so only after it could
/// send them.
struct BoundedResponse {
    inner: Body,
    connection: Arc<Connection>,
    unread: usize,
    waiting: Option<BoxFuture<'static, ()>>,
}

pub(super) fn bounded_response(body: Body, connection: Arc<Connection>) -> Body {
    Body::new(BoundedResponse { inner: body, connection, unread: 0, waiting: None })
}

impl BoundedResponse {
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let full = |connection: &Connection| {
            connection.responses.iter().find(|unread| !unread.has_room()).map(Arc::clone)
        };
        loop {
            if let Some(waiting) = &mut self.waiting {
                ready!(waiting.as_mut().poll(cx));
                self.waiting = None;
            }
            let Some(full) = full(&self.connection) else { return Poll::Ready(()) };
            self.waiting = Some(Box::pin(full.wait()));
        }
    }

    fn count(&mut self, bytes: usize) {
        let removed = std::mem::replace(&mut self.unread, bytes);
        for unread in &self.connection.responses {
            unread.bytes.fetch_add(bytes, Ordering::Relaxed);
            unread.remove(removed);
        }
    }
}

impl HttpBody for BoundedResponse {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.count(0);
        ready!(self.poll_room(cx));
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if let Some(Ok(frame)) = &frame {
            self.count(frame.data_ref().map_or(0, Bytes::len));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for BoundedResponse {
    fn drop(&mut self) {
        self.count(0);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt;
    use http_body::Frame;
    use tokio::sync::Semaphore;

    use super::*;

    /// A body of a number of bytes in one frame.
    struct Of(Option<usize>);

    impl HttpBody for Of {
        type Data = Bytes;
        type Error = axum::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
            Poll::Ready(self.0.take().map(|count| Ok(Frame::data(vec![0; count].into()))))
        }
    }

    fn connection() -> Arc<Connection> {
        Arc::new(Connection {
            requests: [Arc::new(Semaphore::new(1)), Arc::new(Semaphore::new(1))],
            responses: [Arc::new(Unread::new(10)), Arc::new(Unread::new(100))],
        })
    }

    async fn next(body: &mut Body) -> Option<usize> {
        let frame = std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await?;
        Some(frame.unwrap().into_data().unwrap().len())
    }

    #[tokio::test]
    async fn a_response_waits_until_the_others_of_its_connection_are_read() {
        let connection = connection();
        let body = |bytes| bounded_response(Body::new(Of(Some(bytes))), Arc::clone(&connection));
        let (mut first, mut second, mut third) = (body(8), body(8), body(8));
        assert_eq!(next(&mut first).await, Some(8));
        assert_eq!(next(&mut second).await, Some(8), "16 of 10 bytes: no more now");
        assert_eq!(next(&mut third).now_or_never(), None);
        let waiting = tokio::time::timeout(Duration::from_mins(1), next(&mut third));
        let (read, ended) = tokio::join!(waiting, next(&mut first));
        assert_eq!((read.unwrap(), ended), (Some(8), None));
        drop((second, third));
        assert_eq!(connection.responses[0].bytes.load(Ordering::Relaxed), 0);
    }
}
