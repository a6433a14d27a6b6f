//! An accepted connection. One that says nothing ends after a while, or earlier if its place is needed.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::{Instant, Sleep, sleep};

/// The limits of connections that say nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Time without any byte, and for the first [`Self::greeting`] bytes.
    pub(crate) time: Duration,
    /// After this number of bytes the protocol itself checks that the client is alive. `None`: it never does.
    pub(crate) greeting: Option<usize>,
}

/// A connection that has sent this number of bytes lets others have their turn.
const TURN: usize = 16 * 1024;

#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    /// Bytes read in this turn.
    read: usize,
    silence: Option<Silence>,
    _slot: OwnedSemaphorePermit,
}

/// The state of a connection that may be closed for saying nothing.
#[derive(Debug)]
struct Silence {
    patience: Patience,
    received: usize,
    deadline: Pin<Box<Sleep>>,
    evicted: oneshot::Receiver<()>,
}

impl Connection {
    pub(super) fn new(
        stream: TcpStream,
        slot: OwnedSemaphorePermit,
        patience: Patience,
        evicted: oneshot::Receiver<()>,
    ) -> Self {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "Failed to set TCP_NODELAY");
        }
        let deadline = Box::pin(sleep(patience.time));
        let silence = Silence { patience, received: 0, deadline, evicted };
        Self { stream, read: 0, silence: Some(silence), _slot: slot }
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }
}

impl Silence {
    /// Ready when the connection has to be closed.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<()> {
        // The sender is gone after the stop of the listener; then only the deadline counts.
        if let Poll::Ready(Ok(())) = self.poll_evicted(context) {
            return Poll::Ready(());
        }
        self.deadline.as_mut().poll(context)
    }

    fn poll_evicted(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), oneshot::error::RecvError>> {
        if self.evicted.is_terminated() {
            return Poll::Pending;
        }
        Pin::new(&mut self.evicted).poll(context)
    }

    /// Returns whether the client is still to be watched.
    fn receive(&mut self, bytes: usize) -> bool {
        self.received = self.received.saturating_add(bytes);
        if let Some(greeting) = self.patience.greeting {
            return self.received < greeting;
        }
        self.deadline.as_mut().reset(Instant::now() + self.patience.time);
        true
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(silence) = &mut self.silence
            && silence.poll_end(context).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        // What it has sent is handled before more of it is read.
        if self.read >= TURN {
            self.read = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if polled.is_pending() {
            self.read = 0;
        }
        ready!(polled)?;
        let read = buffer.filled().len().saturating_sub(before);
        self.read += read;
        if read > 0 && self.silence.as_mut().is_some_and(|silence| !silence.receive(read)) {
            self.silence = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
