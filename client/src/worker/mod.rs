//! Workers: processes that execute runs with their own sources.
//!
//! Implement [`Source`], which scrapes one location, and give it to a [`Worker`]. The worker leases runs,
//! calls the source for each location, submits what it pushes, and keeps the leases. It enforces timeouts,
//! stops the source when the run is cancelled, and returns runs that it cannot finish. The server executes
//! its own sources with the same code.
//!
//! The server must know the name of the source: `[sources.mls]` with `kind = "worker"` in its
//! `windrow.toml`.
//!
//! ```no_run
//! use windrow_client::worker::{CancellationToken, Property, Source, SourceError, Task, Worker};
//! use windrow_client::worker::{Map, async_trait};
//! use windrow_client::{Client, Error};
//!
//! struct Mls;
//!
//! #[async_trait]
//! impl Source for Mls {
//!     async fn scrape(&self, task: &Task) -> Result<(), SourceError> {
//!         task.log(format!("searching {}", task.location()));
//!         for number in 1..=3 {
//!             let body = Map::from_iter([("city".to_owned(), task.location().into())]);
//!             task.push(Property::new(format!("mls-{number}"), body)).await?;
//!         }
//!         Ok(())
//!     }
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Error> {
//!     let client = Client::connect("127.0.0.1:50051").await?;
//!     Worker::new(&client).source("mls", Mls).run(CancellationToken::new()).await
//! }
//! ```
//!
//! [`Property`], [`Task`] and their methods have the names of the Python library. `client/examples/worker` is
//! a complete program, which depends on this crate and on Tokio only.

mod convert;
mod json;
mod transport;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub use async_trait::async_trait;
pub use chrono;
pub use serde_json::{Map, Value, json};
pub use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use windrow_worker::TransportError;
pub use windrow_worker::{
    BODY_BYTES, BODY_DEPTH, DEFAULT_TIMEOUT, Found, InvalidProperty, Level, PROPERTY_ID_LENGTH,
    Property, ScrapeRequest, Secrets, Source, SourceError, Task, TaskLine, TaskOutput, scrape,
};

use self::transport::GrpcTransport;
use crate::{Client, Code, Error, Status};

/// Runs in progress of a worker, unless set with [`Worker::capacity`].
const DEFAULT_CAPACITY: usize = 4;
/// Time to finish runs after a stop, unless set with [`Worker::grace`].
const DEFAULT_GRACE: Duration = Duration::from_secs(20);

/// Executes runs for a Windrow server.
pub struct Worker {
    client: Client,
    id: String,
    sources: BTreeMap<String, Arc<dyn Source>>,
    capacity: usize,
    grace: Duration,
}

impl Worker {
    /// A worker without sources, with a capacity of 4 runs and a grace of 20 seconds.
    pub fn new(client: &Client) -> Self {
        Self {
            client: client.clone(),
            id: format!("{}-{:08x}", std::process::id(), Uuid::new_v4().as_fields().0),
            sources: BTreeMap::new(),
            capacity: DEFAULT_CAPACITY,
            grace: DEFAULT_GRACE,
        }
    }

    /// Adds a source, or replaces the one of that name.
    #[must_use]
    pub fn source(mut self, name: impl Into<String>, source: impl Source) -> Self {
        self.sources.insert(name.into(), Arc::new(source));
        self
    }

    /// Maximum number of runs in progress, 1 to 100.
    #[must_use]
    pub fn capacity(self, capacity: usize) -> Self {
        Self { capacity, ..self }
    }

    /// Time to finish runs in progress after a stop. Unfinished ones return to pending.
    #[must_use]
    pub fn grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }

    /// The worker id of its leases, unique to this worker.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Executes runs until `stop`. Retries lost connections forever. Fails only if the server rejects the
    /// worker, for example because it does not know a source.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Error> {
        let names = self.sources.keys().cloned().collect();
        let transport = GrpcTransport::new(self.client, self.id, names);
        let worker = windrow_worker::Worker::new(Arc::new(transport), self.sources, self.capacity);
        let drained = CancellationToken::new();
        let work = async {
            let result = worker.run(stop).await;
            worker.drain(self.grace).await;
            drained.cancel();
            result
        };
        let (result, ()) = tokio::join!(work, worker.keep_leases(drained.clone()));
        result.map_err(client_error)
    }
}

/// The client's own error inside.
fn client_error(error: TransportError) -> Error {
    let rejected = |message: String| Error::from(Status::new(Code::FailedPrecondition, message));
    match error {
        TransportError::Rejected(error)
        | TransportError::Transient(error)
        | TransportError::NoDatabase(error) => {
            error.downcast().map_or_else(|other| rejected(other.to_string()), |error| *error)
        }
        error @ TransportError::LeaseLost => rejected(error.to_string()),
    }
}
