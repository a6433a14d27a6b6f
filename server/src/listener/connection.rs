//! An accepted connection. One that says nothing ends after a while, or earlier if its place is needed.
//!
//! A handshake of TLS counts as nothing said, and has to end in time.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::{Instant, Sleep, sleep};

use super::addresses::Counted;
use super::age::Age;
use super::peer::Peer;
use super::settings_flood::SettingsFlood;
use super::transport::Transport;

/// The limits of connections that say nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Time without any byte, and for the first [`Self::greeting`] bytes.
    pub(crate) time: Duration,
    /// Size of the preface of HTTP/2, which itself checks later that the client is alive. `None`: another protocol.
    pub(crate) greeting: Option<usize>,
}

/// A connection that has sent this number of bytes lets others have their turn.
const TURN: usize = 16 * 1024;
/// Time for a handshake of TLS. Clients need some round trips.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Connection {
    transport: Transport,
    peer: Peer,
    /// Bytes read in this turn.
    read: usize,
    /// `None` if the protocol is not HTTP/2.
    settings: Option<SettingsFlood>,
    silence: Option<Silence>,
    age: Option<Age>,
    _place: Place,
}

/// What a connection takes of the limits, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) _slot: OwnedSemaphorePermit,
    pub(super) _of_address: Option<Counted>,
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
        transport: Transport,
        peer: Peer,
        place: Place,
        patience: Patience,
        evicted: oneshot::Receiver<()>,
    ) -> Self {
        let time =
            if transport.is_ready() { patience.time } else { patience.time.min(HANDSHAKE_TIMEOUT) };
        let deadline = Box::pin(sleep(time));
        let settings = patience.greeting.map(SettingsFlood::new);
        let silence = Some(Silence { patience, received: 0, deadline, evicted });
        Self { transport, peer, read: 0, settings, silence, age: None, _place: place }
    }

    pub(super) fn with_age(self, age: Option<Age>) -> Self {
        Self { age, ..self }
    }

    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Completes the handshake of TLS, with reads and with writes.
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.transport.is_ready() {
            return Poll::Ready(Ok(()));
        }
        self.poll_end_of_time(context)?;
        ready!(self.transport.poll_ready(context))?;
        if let Some(silence) = &mut self.silence {
            silence.begin();
        }
        Poll::Ready(Ok(()))
    }

    /// An error if the connection has to be closed.
    fn poll_end_of_time(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if let Some(silence) = &mut self.silence
            && silence.poll_end(context).is_ready()
        {
            return Err(io::ErrorKind::TimedOut.into());
        }
        if let Some(age) = &mut self.age
            && age.poll_end(context).is_ready()
        {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
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

    /// The handshake has ended. Without a greeting the time starts again; with one it is for both.
    fn begin(&mut self) {
        if self.patience.greeting.is_none() {
            self.deadline.as_mut().reset(Instant::now() + self.patience.time);
        }
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
        ready!(self.poll_ready(context))?;
        self.poll_end_of_time(context)?;
        // What it has sent is handled before more of it is read.
        if self.read >= TURN {
            self.read = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let polled = self.transport.poll_read(context, buffer);
        if polled.is_pending() {
            self.read = 0;
        }
        ready!(polled)?;
        let new = buffer.filled().get(before..).unwrap_or_default();
        let read = new.len();
        if let Some(settings) = &mut self.settings {
            settings.read(new).map_err(io::Error::other)?;
        }
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
        ready!(self.poll_ready(context))?;
        self.transport.poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_ready(context))?;
        self.transport.poll_write_vectored(context, slices)
    }

    /// Both TCP and TLS write slices together.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_ready(context))?;
        self.transport.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.transport.poll_shutdown(context)
    }
}
