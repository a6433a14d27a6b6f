//! A stream of messages that is opened again when it breaks, on another server if there is one.
//!
//! It is the caller who knows where to go on: the request that opens it anew says so.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;
use tonic::{Response, Status, Streaming};
use tracing::debug;

use crate::endpoints::Route;
use crate::{Client, Error, backoff, error};

/// A stream gives up when it has got nowhere for this long, unless told otherwise.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct Reconnecting<M> {
    client: Client,
    /// Of the last attempt.
    route: Route,
    open: Option<Open<M>>,
    trouble: Option<Trouble>,
    patience: Duration,
}

struct Open<M> {
    messages: Streaming<M>,
    since: Instant,
}

/// A stream that will be opened again.
#[derive(Debug)]
pub(crate) struct Loss {
    pub(crate) error: Error,
    /// Before that.
    pub(crate) pause: Duration,
}

/// Failures in a row since the stream got anywhere.
#[derive(Clone, Copy, Debug)]
struct Trouble {
    since: Instant,
    failures: u32,
}

impl<M> Reconnecting<M> {
    pub(crate) fn new(client: &Client, patience: Duration) -> Self {
        let route = client.route();
        Self { client: client.clone(), route, open: None, trouble: None, patience }
    }

    /// The next message, after opening the stream if it is not. A stream that is silent for longer counts as
    /// lost, though its connection may hold.
    pub(crate) async fn receive<F, S>(&mut self, open: F) -> Result<Option<M>, Status>
    where
        F: FnOnce(Route) -> S,
        S: Future<Output = Result<Response<Streaming<M>>, Status>>,
    {
        if self.open.is_none() {
            self.begin(open).await?;
        }
        let Some(stream) = &mut self.open else { return Ok(None) };
        let next = tokio::time::timeout(self.client.limits().silence, stream.messages.message());
        next.await.unwrap_or_else(|_| Err(Status::unavailable("the server has gone silent")))
    }

    async fn begin<F, S>(&mut self, open: F) -> Result<(), Status>
    where
        F: FnOnce(Route) -> S,
        S: Future<Output = Result<Response<Streaming<M>>, Status>>,
    {
        self.route = self.client.route();
        // Not as the request's own timeout: that would end the whole stream.
        let deadline = self.client.limits().deadline;
        let opened = tokio::time::timeout(deadline, open(self.route.clone())).await;
        let late = |_| Status::unavailable("the server did not begin the stream in time");
        let messages = opened.map_err(late)??.into_inner();
        self.open = Some(Open { messages, since: Instant::now() });
        Ok(())
    }

    /// The stream got somewhere.
    pub(crate) fn restore(&mut self) {
        self.trouble = None;
    }

    /// The stream is lost: how to go on, or why it will not.
    pub(crate) fn lose(&mut self, status: Status) -> Result<Loss, Error> {
        let held = self.open.take().map(|open| open.since.elapsed());
        // A stream that held for long was progress, though there was nothing to tell.
        if held.is_some_and(|held| held > PATIENCE) {
            self.restore();
        }
        self.client.failed(&self.route, &status);
        let known = self.trouble.unwrap_or(Trouble { since: Instant::now(), failures: 0 });
        let passing = error::is_lost(&status) || error::retry_after(&status).is_some();
        let failures = known.failures.saturating_add(1);
        let pause = self.pause(failures, &status);
        let error = Error::from_status(self.route.server(), status);
        if !passing || known.since.elapsed() > self.patience {
            return Err(error);
        }
        self.trouble = Some(Trouble { failures, ..known });
        debug!(server.address = self.route.server(), failures, "Lost a stream: {error}");
        Ok(Loss { error, pause })
    }

    /// None on the way to a server that has not been tried since.
    fn pause(&self, failures: u32, status: &Status) -> Duration {
        if error::is_lost(status) && failures < self.client.shared.endpoints.count() {
            return Duration::ZERO;
        }
        backoff::pause(failures, error::retry_after(status))
    }
}
