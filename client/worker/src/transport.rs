//! The connection between a worker and Windrow.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::attempt::{
    AttemptId, AttemptUpdate, HeartbeatItem, LeaseStatus, LeasedRun, Outcome, Report,
};

/// Carries a worker's calls to Windrow. Every call is idempotent.
#[async_trait]
pub trait WorkerTransport: Send + Sync + 'static {
    /// Leases at most `capacity` runs; waits for a while if there are none. `held` are all attempts that the
    /// worker knows: other runs leased to it were lost with an earlier response and are returned again.
    async fn lease(
        &self,
        capacity: usize,
        held: Vec<AttemptId>,
    ) -> Result<Vec<LeasedRun>, TransportError>;

    /// Extends the leases of attempts; returns those that are still held. Waits up to `wait` while there is
    /// no news for the worker.
    async fn heartbeat(
        &self,
        items: Vec<HeartbeatItem>,
        wait: Duration,
    ) -> Result<BTreeMap<AttemptId, LeaseStatus>, TransportError>;

    /// Submits a batch of results; returns the number of properties that the run has scraped after it.
    async fn submit(&self, attempt: &AttemptId, report: &Report) -> Result<i64, TransportError>;

    /// Ends an attempt; returns the status of the run.
    async fn finish(
        &self,
        attempt: &AttemptId,
        outcome: &Outcome,
        update: &AttemptUpdate,
    ) -> Result<String, TransportError>;

    /// Says that the worker leases no more runs.
    async fn sign_off(&self) -> Result<(), TransportError> {
        Ok(())
    }

    /// Maximum interval between heartbeats.
    fn heartbeat_interval(&self) -> Duration;

    /// Lower bound of changes for a source with [`full_every`](crate::Source::full_every); `None`, a full
    /// read, is always correct.
    async fn changed_since(
        &self,
        _run: &LeasedRun,
        _full_every: u32,
    ) -> Result<Option<DateTime<Utc>>, TransportError> {
        Ok(None)
    }

    /// The current time, for lines of the log.
    fn now(&self) -> DateTime<Utc>;
}

/// The reason why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// Another worker may execute the run.
    #[error("the attempt has lost its lease")]
    LeaseLost,
    /// The database of Windrow does not respond. Until it does, no lease is lost.
    #[error(transparent)]
    NoDatabase(Box<dyn Error + Send + Sync>),
    /// A retry may succeed.
    #[error(transparent)]
    Transient(Box<dyn Error + Send + Sync>),
    /// A retry would fail as well.
    #[error(transparent)]
    Rejected(Box<dyn Error + Send + Sync>),
}
