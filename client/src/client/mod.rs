//! The client, and its unary calls: with a timeout, and retried where that is safe.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tonic::{Request, Response, Status};
use tower::retry::budget::{Budget, TpsBudget};
use tracing::field::{Empty, debug};
use tracing::{Instrument, Span, info_span};
use uuid::Uuid;

use crate::backoff::Backoff;
use crate::builder::ClientBuilder;
use crate::delay::{OnDelay, Wait};
use crate::endpoints::{Endpoints, Route};
use crate::{Error, error};

/// Maximum retries of a call on servers that it may have reached.
const MAX_RETRIES: u32 = 3;

/// A connection to Windrow. Cheap to clone; clones share the connection and the retry budget.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) endpoints: Endpoints,
    pub(crate) limits: Limits,
    budget: TpsBudget,
    on_delay: OnDelay,
}

/// Time limits of calls and streams.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// For a unary call with its retries, or for opening a stream.
    pub(crate) timeout: Duration,
    /// Between two messages of a stream.
    pub(crate) stream_idle_timeout: Duration,
}

/// Retry policy for a call that the server may have executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// The call changes nothing, or carries a request id.
    Safe,
    /// A repeat could undo a change made in between. The call is retried only if it was not sent.
    Never,
}

impl Client {
    /// Connects to `127.0.0.1:50051`, `https://windrow.example.com` or similar, within 5 seconds. A comma
    /// separates several servers; see [`ClientBuilder::endpoint`].
    pub async fn connect(endpoint: impl AsRef<str>) -> Result<Self, Error> {
        Self::builder().endpoint(endpoint).connect().await
    }

    /// Like [`Client::connect`], but connects with the first call. Must be called within a Tokio runtime.
    pub fn connect_lazy(endpoint: impl AsRef<str>) -> Result<Self, Error> {
        Self::builder().endpoint(endpoint).connect_lazy()
    }

    /// Configures several servers, TLS, a bearer token, timeouts and retries.
    ///
    /// ```no_run
    /// # async fn example(pem: Vec<u8>) -> Result<(), windrow_client::Error> {
    /// let client = windrow_client::Client::builder()
    ///     .endpoint("https://windrow-1.internal:50051")
    ///     .endpoint("https://windrow-2.internal:50051")
    ///     .ca_certificate(pem)
    ///     .bearer_token("from somewhere safe")
    ///     .user_agent("my-crawler/2.1")
    ///     .connect()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder() -> ClientBuilder {
        ClientBuilder::new()
    }

    /// The endpoint in use, as given.
    pub fn endpoint(&self) -> String {
        self.route().endpoint().to_owned()
    }

    pub(crate) fn over(
        endpoints: Endpoints,
        limits: Limits,
        budget: TpsBudget,
        on_delay: OnDelay,
    ) -> Self {
        Self { shared: Arc::new(Shared { endpoints, limits, budget, on_delay }) }
    }

    pub(crate) fn route(&self) -> Route {
        self.shared.endpoints.route()
    }

    pub(crate) fn limits(&self) -> Limits {
        self.shared.limits
    }

    /// Begins to wait for something that may take too long.
    pub(crate) fn new_wait(&self) -> Wait {
        self.shared.on_delay.wait()
    }

    /// Reports a failed call, so that other calls avoid a lost server.
    pub(crate) fn failed(&self, route: &Route, status: &Status) {
        if error::is_lost(status) || error::is_late(status) {
            self.leave(route);
        }
    }

    /// Moves on from the server of `route`.
    pub(crate) fn leave(&self, route: &Route) {
        self.shared.endpoints.leave(route);
    }

    /// Sends a unary request; retries if `retry` allows it and the connection or the server failed.
    pub(crate) async fn call<Q, R, F, S>(
        &self,
        method: &'static str,
        retry: Retry,
        request: Q,
        send: F,
    ) -> Result<R, Error>
    where
        Q: Clone,
        F: Fn(Route, Request<Q>) -> S,
        S: Future<Output = Result<Response<R>, Status>>,
    {
        let span = span(method);
        // Boxed, because a gRPC call's future would make the callers' futures as large.
        Box::pin(self.attempts(retry, request, send)).instrument(span).await
    }

    async fn attempts<Q, R, F, S>(&self, retry: Retry, request: Q, send: F) -> Result<R, Error>
    where
        Q: Clone,
        F: Fn(Route, Request<Q>) -> S,
        S: Future<Output = Result<Response<R>, Status>>,
    {
        let timeout = self.limits().timeout;
        let deadline = Instant::now() + timeout;
        self.shared.budget.deposit();
        let (mut failures, mut backoff, mut wait) = (0_u32, Backoff::new(), self.new_wait());
        loop {
            let route = self.route();
            let mut request = Request::new(request.clone());
            request.set_timeout(deadline.saturating_duration_since(Instant::now()));
            let answer = tokio::time::timeout_at(deadline, send(route.clone(), request));
            let result = wait.during(route.endpoint(), answer).await;
            let result = result.unwrap_or_else(|_| Err(error::late(timeout)));
            let span = Span::current();
            record(&span, &route, result.as_ref().err());
            span.record("rpc.attempts", failures.saturating_add(1));
            let status = match result {
                Ok(response) => return Ok(response.into_inner()),
                Err(status) => status,
            };
            failures += 1;
            self.failed(&route, &status);
            match self.pause(retry, failures, &mut backoff, &status) {
                Some(pause) if Instant::now() + pause < deadline => {
                    wait.failed(Error::from_status(route.endpoint(), status), route.endpoint());
                    wait.during(route.endpoint(), tokio::time::sleep(pause)).await;
                }
                Some(_) | None => return Err(Error::from_status(route.endpoint(), status)),
            }
        }
    }

    /// Pause before the call is retried; `None` if it must not be.
    fn pause(
        &self,
        retry: Retry,
        failures: u32,
        backoff: &mut Backoff,
        status: &Status,
    ) -> Option<Duration> {
        let unsent = error::is_unsent(status);
        // Not every server was tried yet.
        let untried = error::is_lost(status) && failures < self.shared.endpoints.count();
        if unsent && untried {
            return Some(Duration::ZERO);
        }
        let again = match retry {
            Retry::Safe => error::is_lost(status) || error::retry_after(status).is_some(),
            Retry::Never => unsent,
        };
        if !again || failures > MAX_RETRIES || !self.shared.budget.withdraw() {
            return None;
        }
        let pause = if untried { Duration::ZERO } else { backoff.next(error::retry_after(status)) };
        Some(pause)
    }
}

/// Fills in an empty request id, so that all retries are the same request to the server.
pub(crate) fn fill_request_id(request_id: &mut String) {
    if request_id.is_empty() {
        *request_id = Uuid::new_v4().to_string();
    }
}

/// Span of a call, or of the opening of a stream.
pub(crate) fn span(method: &'static str) -> Span {
    info_span!(
        "windrow.call",
        rpc.system = "grpc",
        rpc.method = method,
        rpc.code = Empty,
        rpc.attempts = Empty,
        server.address = Empty,
    )
}

/// Records the result in the span.
pub(crate) fn record(span: &Span, route: &Route, status: Option<&Status>) {
    let code = status.map_or(tonic::Code::Ok, Status::code);
    span.record("rpc.code", debug(code)).record("server.address", route.endpoint());
}

#[cfg(test)]
mod tests;
