//! The client itself, and how unary calls are made: with a deadline, and again where that is safe.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tonic::{Request, Response, Status};
use tower::retry::budget::{Budget, TpsBudget};
use tracing::field::{Empty, debug};
use tracing::{Instrument, Span, info_span};
use uuid::Uuid;

use crate::builder::ClientBuilder;
use crate::endpoints::{Endpoints, Route};
use crate::{Error, backoff, error};

/// So often a call is sent again to servers that it may have reached.
const RETRIES: u32 = 3;

/// A connection to Windrow; clones share it, its servers and its budget of retries.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) endpoints: Endpoints,
    pub(crate) limits: Limits,
    budget: TpsBudget,
}

/// How long to wait for what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// A unary call, or the beginning of a stream.
    pub(crate) deadline: Duration,
    /// A message of a stream.
    pub(crate) silence: Duration,
}

/// Whether a call whose fate is unknown may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// It changes nothing, or carries a request id.
    Safe,
    /// A repeat could undo what somebody did in between. It is sent again only if it never got out.
    Never,
}

impl Client {
    /// Connects to `127.0.0.1:50051`, `https://windrow.example.com` or the like, within 5 seconds. A
    /// comma separates several servers.
    pub async fn connect(server: &str) -> Result<Self, Error> {
        Self::builder().server(server).connect().await
    }

    /// Like [`Client::connect`], but the first call connects. Needs a Tokio runtime around it.
    pub fn connect_lazy(server: &str) -> Result<Self, Error> {
        Self::builder().server(server).connect_lazy()
    }

    /// For more than an address: TLS, a token, deadlines.
    ///
    /// ```no_run
    /// # async fn example(pem: Vec<u8>) -> Result<(), windrow_client::Error> {
    /// let client = windrow_client::Client::builder()
    ///     .server("https://windrow-1.internal:50051")
    ///     .server("https://windrow-2.internal:50051")
    ///     .ca_certificate(pem)
    ///     .token("from somewhere safe")
    ///     .application("my-crawler/2.1")
    ///     .connect()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder() -> ClientBuilder {
        ClientBuilder::new()
    }

    /// The address of the server in use, as given.
    pub fn server(&self) -> String {
        self.route().server().to_owned()
    }

    pub(crate) fn over(endpoints: Endpoints, limits: Limits, budget: TpsBudget) -> Self {
        Self { shared: Arc::new(Shared { endpoints, limits, budget }) }
    }

    pub(crate) fn route(&self) -> Route {
        self.shared.endpoints.route()
    }

    pub(crate) fn limits(&self) -> Limits {
        self.shared.limits
    }

    /// Tells what came of the last use of a route: others shall not run into the same trouble.
    pub(crate) fn failed(&self, route: &Route, status: &Status) {
        if error::is_lost(status) || error::is_late(status) {
            self.leave(route);
        }
    }

    /// The server of a route is about to stop.
    pub(crate) fn leave(&self, route: &Route) {
        self.shared.endpoints.leave(route);
    }

    /// Sends a unary request, again if `retry` permits and the connection or the server failed.
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
        // On the heap, lest the future of everybody who calls be as large as a gRPC call's.
        Box::pin(self.attempts(retry, request, send)).instrument(span).await
    }

    async fn attempts<Q, R, F, S>(&self, retry: Retry, request: Q, send: F) -> Result<R, Error>
    where
        Q: Clone,
        F: Fn(Route, Request<Q>) -> S,
        S: Future<Output = Result<Response<R>, Status>>,
    {
        let time = self.limits().deadline;
        let deadline = Instant::now() + time;
        self.shared.budget.deposit();
        let mut failures = 0_u32;
        loop {
            let route = self.route();
            let mut request = Request::new(request.clone());
            request.set_timeout(deadline.saturating_duration_since(Instant::now()));
            let answer = tokio::time::timeout_at(deadline, send(route.clone(), request)).await;
            let answer = answer.unwrap_or_else(|_| Err(error::late(time)));
            let span = Span::current();
            record(&span, &route, answer.as_ref().err());
            span.record("rpc.attempts", failures.saturating_add(1));
            let status = match answer {
                Ok(response) => return Ok(response.into_inner()),
                Err(status) => status,
            };
            failures += 1;
            self.failed(&route, &status);
            match self.pause(retry, failures, &status) {
                Some(pause) if Instant::now() + pause < deadline => tokio::time::sleep(pause).await,
                Some(_) | None => return Err(Error::from_status(route.server(), status)),
            }
        }
    }

    /// How long to wait until the call is sent again; nothing if it shall not be.
    fn pause(&self, retry: Retry, failures: u32, status: &Status) -> Option<Duration> {
        let unsent = error::is_unsent(status);
        // Another server, which knows nothing of the trouble of this one.
        let untried = error::is_lost(status) && failures < self.shared.endpoints.count();
        if unsent && untried {
            return Some(Duration::ZERO);
        }
        let again = match retry {
            Retry::Safe => error::is_lost(status) || error::retry_after(status).is_some(),
            Retry::Never => unsent,
        };
        if !again || failures > RETRIES || !self.shared.budget.withdraw() {
            return None;
        }
        let at_least = error::retry_after(status);
        Some(if untried { Duration::ZERO } else { backoff::pause(failures, at_least) })
    }
}

/// Gives a request without an id one, so that all its retries are the same request to the server.
pub(crate) fn fill_request_id(request_id: &mut String) {
    if request_id.is_empty() {
        *request_id = Uuid::new_v4().to_string();
    }
}

/// Of a call, or of the opening of a stream.
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

/// What came of it where.
pub(crate) fn record(span: &Span, route: &Route, status: Option<&Status>) {
    let code = status.map_or(tonic::Code::Ok, Status::code);
    span.record("rpc.code", debug(code)).record("server.address", route.server());
}

#[cfg(test)]
mod tests;
