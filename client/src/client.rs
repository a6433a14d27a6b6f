//! The connection, and how unary calls are made: with a deadline, and retried where that is safe.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::proto::property_service_client::PropertyServiceClient;
use crate::proto::scheduled_job_service_client::ScheduledJobServiceClient;
use crate::proto::scraping_job_service_client::ScrapingJobServiceClient;
use crate::proto::worker_service_client::WorkerServiceClient;
use crate::{Error, backoff, error};

/// A unary call ends after this time, its retries included.
pub const CALL_DEADLINE: Duration = Duration::from_secs(30);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A silent watch must notice a dead network; the server sends nothing while a run waits.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// A page of 1,000 runs with hundreds of locations each exceeds the 4 MiB that tonic allows.
const RESPONSE_LIMIT: usize = 256 * 1024 * 1024;

const RETRIES: u32 = 3;

/// A connection to a Windrow server; clones share it.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) jobs: ScheduledJobServiceClient<Channel>,
    pub(crate) runs: ScrapingJobServiceClient<Channel>,
    pub(crate) properties: PropertyServiceClient<Channel>,
    pub(crate) workers: WorkerServiceClient<Channel>,
    server: Arc<str>,
}

/// Whether a call whose fate is unknown may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// It changes nothing, or carries a request id.
    Safe,
    /// A repeat could undo what somebody did in between.
    Never,
}

impl Client {
    /// Connects to `127.0.0.1:50051`, `http://windrow:50051` or the like, within 5 seconds.
    pub async fn connect(server: &str) -> Result<Self, Error> {
        let connected = endpoint(server)?.connect().await;
        let unreachable = |e| Error::Connect { server: server.to_owned(), source: Box::new(e) };
        Ok(Self::over(connected.map_err(unreachable)?, server))
    }

    /// Like [`Client::connect`], but the first call connects. Needs a Tokio runtime around it.
    pub fn connect_lazy(server: &str) -> Result<Self, Error> {
        Ok(Self::over(endpoint(server)?.connect_lazy(), server))
    }

    /// The address as given.
    pub fn server(&self) -> &str {
        &self.server
    }

    fn over(channel: Channel, server: &str) -> Self {
        let jobs = ScheduledJobServiceClient::new(channel.clone());
        let runs = ScrapingJobServiceClient::new(channel.clone());
        let properties = PropertyServiceClient::new(channel.clone());
        let workers = WorkerServiceClient::new(channel);
        Self {
            jobs: jobs.max_decoding_message_size(RESPONSE_LIMIT),
            runs: runs.max_decoding_message_size(RESPONSE_LIMIT),
            properties: properties.max_decoding_message_size(RESPONSE_LIMIT),
            workers: workers.max_decoding_message_size(RESPONSE_LIMIT),
            server: server.into(),
        }
    }

    /// Sends a unary request, again if `retry` permits and the connection or the server failed.
    pub(crate) async fn call<Q, R, F, S>(
        &self,
        retry: Retry,
        request: Q,
        send: F,
    ) -> Result<R, Error>
    where
        Q: Clone,
        F: Fn(Request<Q>) -> S,
        S: Future<Output = Result<Response<R>, Status>>,
    {
        let deadline = Instant::now() + CALL_DEADLINE;
        let mut failures = 0;
        loop {
            let mut request = Request::new(request.clone());
            request.set_timeout(deadline.saturating_duration_since(Instant::now()));
            let status = match send(request).await {
                Ok(response) => return Ok(response.into_inner()),
                Err(status) => status,
            };
            failures += 1;
            let pause = backoff::pause(failures, error::retry_after(&status));
            let in_time = Instant::now() + pause < deadline;
            let again = retry == Retry::Safe && failures <= RETRIES && error::is_lost(&status);
            if !(again && in_time) {
                return Err(Error::from_status(&self.server, status));
            }
            tokio::time::sleep(pause).await;
        }
    }
}

/// Gives a request without an id one, so that all its retries are the same request to the server.
pub(crate) fn fill_request_id(request_id: &mut String) {
    if request_id.is_empty() {
        *request_id = Uuid::new_v4().to_string();
    }
}

fn endpoint(server: &str) -> Result<Endpoint, Error> {
    let invalid =
        |description: String| Error::InvalidServer { server: server.to_owned(), description };
    let address = match server.split_once("://") {
        Some(("http", _)) => server.to_owned(),
        Some((scheme, _)) => {
            return Err(invalid(format!("`{scheme}` is not supported, only http")));
        }
        None => format!("http://{server}"),
    };
    let endpoint = Endpoint::from_shared(address).map_err(|e| invalid(e.to_string()))?;
    if endpoint.uri().port().is_none() {
        return Err(invalid("the port is missing, for example `127.0.0.1:50051`".to_owned()));
    }
    Ok(endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_come_with_or_without_a_scheme() {
        assert_eq!(endpoint("127.0.0.1:50051").unwrap().uri(), "http://127.0.0.1:50051/");
        assert_eq!(endpoint("http://windrow:1").unwrap().uri(), "http://windrow:1/");
    }

    #[test]
    fn a_useless_address_is_refused_at_once() {
        for server in ["", "a b", "localhost", "https://windrow:50051", "ftp://x:1"] {
            assert!(matches!(endpoint(server), Err(Error::InvalidServer { .. })), "{server}");
        }
    }

    #[test]
    fn only_an_empty_request_id_is_filled() {
        let mut id = String::new();
        fill_request_id(&mut id);
        assert_eq!(id.len(), 36);
        let before = id.clone();
        fill_request_id(&mut id);
        assert_eq!(id, before);
    }
}
