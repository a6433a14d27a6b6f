//! A stream of messages that is reopened when it breaks, on another server if there is one.
//!
//! The caller supplies the request that reopens the stream, including its resume position.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;
use tonic::{Code, Response, Status, Streaming};
use tracing::{Instrument, debug};

use crate::backoff::Backoff;
use crate::delay::Wait;
use crate::endpoints::Route;
use crate::{Client, Error, client, error};

/// Time without progress after which a stream fails, for streams that end.
pub(crate) const RECONNECT_TIMEOUT: Duration = Duration::from_mins(1);

/// Age at which a stream that still receives messages counts as stable, even without progress: half of the
/// time between two bookmarks. A stream that breaks after each first message never gets this old.
const STABLE_AFTER: Duration = Duration::from_secs(5);

pub(crate) struct Reconnecting<M> {
    client: Client,
    method: &'static str,
    /// Server of the last attempt.
    route: Route,
    open: Option<Open<M>>,
    /// A message was received, on this stream or an earlier one.
    has_received: bool,
    /// Streams lost in a row, none of them stable.
    failures: u32,
    backoff: Backoff,
    /// Time of the first loss without progress since.
    stuck_since: Option<Instant>,
    reconnect_timeout: Duration,
    /// For a message that should come soon.
    wait: Option<Wait>,
    delays: Delays,
}

/// Delays of a stream that are reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delays {
    /// Until its first message or loss: the caller reports losses, and then any silence is normal.
    AtTheStart,
    Always,
}

struct Open<M> {
    messages: Streaming<M>,
    since: Instant,
}

/// A lost stream that can be reopened.
#[derive(Debug)]
pub(crate) struct Loss {
    pub(crate) error: Error,
    /// Pause before reopening it.
    pub(crate) pause: Duration,
}

impl<M> Reconnecting<M> {
    pub(crate) fn new(client: &Client, method: &'static str, reconnect_timeout: Duration) -> Self {
        Self {
            client: client.clone(),
            method,
            route: client.route(),
            open: None,
            has_received: false,
            failures: 0,
            backoff: Backoff::new(),
            stuck_since: None,
            reconnect_timeout,
            wait: Some(client.new_wait()),
            delays: Delays::AtTheStart,
        }
    }

    /// For a stream that is never silent for long, and whose caller does not report losses.
    pub(crate) fn reporting_every_delay(self) -> Self {
        Self { delays: Delays::Always, ..self }
    }

    /// Receives the next message; opens the stream first if it is not open. A stream that is idle for too
    /// long counts as lost, even if its connection is alive.
    pub(crate) async fn receive<F, S>(&mut self, open: F) -> Result<Option<M>, Status>
    where
        F: FnOnce(Route) -> S,
        S: Future<Output = Result<Response<Streaming<M>>, Status>>,
    {
        let Some(mut wait) = self.wait.take() else { return self.next(open).await };
        let endpoint = self.client.route().endpoint().to_owned();
        let next = wait.during(&endpoint, Box::pin(self.next(open))).await;
        self.wait = match self.delays {
            Delays::AtTheStart => None,
            Delays::Always if next.is_ok() => Some(self.client.new_wait()),
            Delays::Always => Some(wait),
        };
        next
    }

    async fn next<F, S>(&mut self, open: F) -> Result<Option<M>, Status>
    where
        F: FnOnce(Route) -> S,
        S: Future<Output = Result<Response<Streaming<M>>, Status>>,
    {
        if self.open.is_none() {
            self.begin(open).await?;
        }
        let Some(stream) = &mut self.open else { return Ok(None) };
        let idle_timeout = self.client.limits().stream_idle_timeout;
        let next = tokio::time::timeout(idle_timeout, stream.messages.message()).await;
        let idle = |_| Status::unavailable("no message from the server within the idle timeout");
        let next = next.map_err(idle)??;
        self.has_received |= next.is_some();
        if next.is_some() && stream.since.elapsed() >= STABLE_AFTER {
            self.failures = 0;
            self.backoff.reset();
            self.progress();
        }
        Ok(next)
    }

    async fn begin<F, S>(&mut self, open: F) -> Result<(), Status>
    where
        F: FnOnce(Route) -> S,
        S: Future<Output = Result<Response<Streaming<M>>, Status>>,
    {
        self.route = self.client.route();
        // Not as the request's own timeout, which would end the whole stream.
        let timeout = self.client.limits().timeout;
        let span = client::span(self.method);
        let opened = open(self.route.clone()).instrument(span.clone());
        let late = |_| Status::unavailable("the stream was not opened within the timeout");
        let opened = tokio::time::timeout(timeout, opened).await.map_err(late).flatten();
        client::record(&span, &self.route, opened.as_ref().err());
        let messages = opened?.into_inner();
        self.open = Some(Open { messages, since: Instant::now() });
        Ok(())
    }

    /// The stream made progress. Pauses keep growing until a stream is stable.
    pub(crate) fn progress(&mut self) {
        self.stuck_since = None;
    }

    /// Handles a lost stream: returns the pause before it is reopened, or the error that ends it.
    pub(crate) fn lose(&mut self, status: Status) -> Result<Loss, Error> {
        self.open = None;
        self.failures = self.failures.saturating_add(1);
        let stuck_since = *self.stuck_since.get_or_insert_with(Instant::now);
        self.client.failed(&self.route, &status);
        let full = self.is_full(&status);
        if full {
            self.client.leave(&self.route);
        }
        let elsewhere = full || error::is_lost(&status);
        let transient = elsewhere || error::retry_after(&status).is_some();
        if !transient || stuck_since.elapsed() > self.reconnect_timeout {
            return Err(Error::from_status(self.route.endpoint(), status));
        }
        let pause = self.pause(elsewhere, &status);
        let error = Error::from_status(self.route.endpoint(), status.clone());
        if let Some(wait) = &mut self.wait {
            wait.failed(Error::from_status(self.route.endpoint(), status), self.route.endpoint());
        }
        let failures = self.failures;
        debug!(
            server.address = self.route.endpoint(),
            failures, "Stream lost; reconnecting: {error}"
        );
        Ok(Loss { error, pause })
    }

    /// Pause before the caller starts over after an error that ended the stream; `None` if starting over has
    /// made no progress for too long.
    pub(crate) fn pause_before_restart(&mut self) -> Option<Duration> {
        let stuck_for = self.stuck_since.map(|since| since.elapsed());
        let is_over = stuck_for.is_some_and(|time| time > self.reconnect_timeout);
        (!is_over).then(|| self.backoff.next(None))
    }

    /// The remains of our own dead connection may still count against the server's limit for a while. A
    /// stream that never received a message fails at once instead.
    fn is_full(&self, status: &Status) -> bool {
        self.has_received && status.code() == Code::ResourceExhausted
    }

    /// Zero while there is a server that was not tried since the last stable stream.
    fn pause(&mut self, elsewhere: bool, status: &Status) -> Duration {
        if elsewhere && self.failures < self.client.shared.endpoints.count() {
            return Duration::ZERO;
        }
        self.backoff.next(error::retry_after(status))
    }
}

#[cfg(test)]
mod tests;
