//! Workers: processes that execute runs with sources of their own.
//!
//! A [`Source`] scrapes one location at a time. The [`Worker`] around it leases runs, keeps their leases,
//! reports what is found, stops what is cancelled, and gives back what it cannot end; it does what the
//! executor inside the server does, by the same code. The server must know the source's name: `[sources.NAME]`
//! with `kind = "worker"` in its `windrow.toml`.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use tokio_util::sync::CancellationToken;
//! use windrow_client::worker::{Source, Worker};
//! use windrow_client::{Client, Error};
//!
//! # async fn example(mls: Arc<dyn Source>) -> Result<(), Error> {
//! let client = Client::connect("127.0.0.1:50051").await?;
//! let stop = CancellationToken::new();
//! Worker::new(&client).source("mls", mls).capacity(4).run(stop).await
//! # }
//! ```

mod json;
mod link;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
pub use windrow_worker::{
    ScrapeOutcome, ScrapeRequest, ScrapedRow, Source, SourceError, TransportError,
};

use self::link::GrpcTransport;
use crate::{Client, Error};

/// Executes runs for a Windrow server.
pub struct Worker {
    client: Client,
    id: String,
    sources: BTreeMap<String, Arc<dyn Source>>,
    capacity: usize,
    grace: Duration,
}

impl Worker {
    /// A worker without sources, for 4 runs at once, with 20 seconds to end its work when it stops.
    pub fn new(client: &Client) -> Self {
        let id = format!("{}-{:08x}", std::process::id(), rand::random::<u32>());
        let (capacity, grace) = (4, Duration::from_secs(20));
        Self { client: client.clone(), id, sources: BTreeMap::new(), capacity, grace }
    }

    /// Serves a source too.
    #[must_use]
    pub fn source(mut self, name: impl Into<String>, source: Arc<dyn Source>) -> Self {
        self.sources.insert(name.into(), source);
        self
    }

    /// Executes so many runs at once, 1 to 100.
    #[must_use]
    pub fn capacity(self, capacity: usize) -> Self {
        Self { capacity, ..self }
    }

    /// Running work has so long to end after the stop; then it is given back.
    #[must_use]
    pub fn grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }

    /// What its leases name. Made anew for each worker.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Works until `stop`. Lost connections are taken up again for ever; an error means that the server
    /// refuses this worker, for example because it does not know a source.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Error> {
        let names = self.sources.keys().cloned().collect();
        let link = GrpcTransport::new(self.client, self.id, names);
        let worker = windrow_worker::Worker::new(Arc::new(link), self.sources, self.capacity);
        let done = CancellationToken::new();
        let work = async {
            let ended = worker.run(stop).await;
            worker.drain(self.grace).await;
            done.cancel();
            ended
        };
        let (ended, ()) = tokio::join!(work, worker.keep(done.clone()));
        ended.map_err(|error| match error {
            TransportError::Refused(error) | TransportError::Transient(error) => {
                match error.downcast() {
                    Ok(error) => *error,
                    Err(other) => refused(other.to_string()),
                }
            }
            TransportError::LeaseLost => refused(TransportError::LeaseLost.to_string()),
        })
    }
}

fn refused(message: String) -> Error {
    Error::FailedPrecondition { message, reason: None }
}
