//! How a worker talks to Windrow.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::source::ScrapedRow;

/// An attempt: a worker's proof of its right to work.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId {
    /// The run.
    pub job_id: String,
    /// The attempt's number, from 1.
    pub attempt: i32,
}

/// What a lease gives to do.
#[derive(Clone, Debug)]
pub struct LeasedRun {
    /// The attempt.
    pub id: AttemptId,
    /// With which source.
    pub source: String,
    /// The locations to do, in order.
    pub locations: Vec<String>,
    /// The pause between two of them.
    pub request_delay: Duration,
    /// The run's scraped rows so far.
    pub scraped: i64,
    /// The lease is lost after this time without a heartbeat, counted from before the call.
    pub expires_in: Duration,
    /// The attempt's time is over then.
    pub attempt_expires_in: Duration,
    /// What sources are told of each location besides.
    pub scheduled_job_id: Option<String>,
    /// Why the run exists, as the API names it.
    pub origin: String,
    /// The nominal instant the run is for.
    pub tick_at: Option<DateTime<Utc>>,
    /// What `past_days` counts back from.
    pub reference_time: DateTime<Utc>,
    /// The run's parameters as proto JSON with snake_case names.
    pub parameters: Value,
    /// The listing types of the parameters.
    pub listing_types: Vec<String>,
    /// The most rows wanted from a location.
    pub limit: u32,
}

/// How serious a line of a run's log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// For whoever works on a source.
    Debug,
    /// What happened.
    Info,
    /// Not as it should be.
    Warning,
    /// A location or the attempt failed.
    Error,
}

/// A line of a run's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Counts the lines of the attempt from 1.
    pub sequence: i64,
    /// The location that it is about; empty for the whole attempt.
    pub location: String,
    /// When it was update.
    pub logged_at: DateTime<Utc>,
    /// How serious it is.
    pub level: Level,
    /// What was update.
    pub text: String,
}

/// How a location ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocationResult {
    /// As in the parameters.
    pub location: String,
    /// Why it failed, if it did, and whether it would fail again.
    pub failure: Option<(String, bool)>,
}

/// What there is to say of an attempt besides rows. Saying it again is harmless.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttemptUpdate {
    /// Locations that ended.
    pub results: Vec<LocationResult>,
    /// New lines of the log.
    pub lines: Vec<Line>,
}

/// What an attempt reports at once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// The run's scraped rows before it; tells a report that is sent again from a new one.
    pub scraped_before: i64,
    /// Rows with their locations.
    pub rows: Vec<(String, ScrapedRow)>,
    /// What else there is to say.
    pub update: AttemptUpdate,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It went through all its locations.
    Done,
    /// It broke off.
    Failed {
        /// Why, as a sentence.
        reason: String,
        /// Whether another attempt would fail too.
        permanent: bool,
    },
    /// It stopped because the run was to be cancelled.
    Cancelled,
    /// The worker stops and gives the attempt back.
    Released,
}

/// What a heartbeat says of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeartbeatItem {
    /// The attempt.
    pub id: AttemptId,
    /// The worker knows that somebody wants it cancelled.
    pub cancel_acknowledged: bool,
}

/// What a worker learns of an attempt that it still holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseStatus {
    /// Somebody wants it cancelled.
    pub cancel_requested: bool,
    /// As in [`LeasedRun`], counted from before the heartbeat.
    pub expires_in: Duration,
}

/// Why a call did not work.
#[derive(Debug)]
pub enum TransportError {
    /// The attempt is no longer ours.
    LeaseLost,
    /// It may work a little later.
    Transient(Box<dyn Error + Send + Sync>),
    /// It will never work.
    Refused(Box<dyn Error + Send + Sync>),
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeaseLost => f.write_str("the attempt has lost its lease"),
            Self::Transient(error) | Self::Refused(error) => {
                write!(f, "{error}")?;
                let mut cause = error.source();
                while let Some(error) = cause {
                    write!(f, ": {error}")?;
                    cause = error.source();
                }
                Ok(())
            }
        }
    }
}

impl Error for TransportError {}

/// How a worker talks to Windrow. Every call may be repeated.
#[async_trait]
pub trait WorkerTransport: Send + Sync + 'static {
    /// Leases at most `room` runs, and waits a little while there are none. `held` are all attempts
    /// that the worker knows of.
    async fn lease(
        &self,
        room: usize,
        held: Vec<AttemptId>,
    ) -> Result<Vec<LeasedRun>, TransportError>;

    /// Says that the attempts are alive; returns those that still have their lease. Waits at most so
    /// long while there is nothing that the worker has to know.
    async fn heartbeat(
        &self,
        held: Vec<HeartbeatItem>,
        wait: Duration,
    ) -> Result<Vec<(AttemptId, LeaseStatus)>, TransportError>;

    /// Reports; returns the run's scraped rows after it.
    async fn submit(&self, attempt: &AttemptId, report: &Report) -> Result<i64, TransportError>;

    /// Ends an attempt; returns what the run is then.
    async fn finish(
        &self,
        attempt: &AttemptId,
        outcome: &Outcome,
        update: &AttemptUpdate,
    ) -> Result<String, TransportError>;

    /// How far apart heartbeats may be.
    fn heartbeat_interval(&self) -> Duration;

    /// Since when a run has to look, for a source that can tell what changed. Everything is never wrong.
    async fn changed_since(
        &self,
        _assignment: &LeasedRun,
        _full_every: u32,
    ) -> Result<Option<DateTime<Utc>>, TransportError> {
        Ok(None)
    }

    /// The time, for lines of the log.
    fn now(&self) -> DateTime<Utc>;
}
