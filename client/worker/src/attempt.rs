//! Attempts, and the messages about them between a worker and Windrow.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::property::Property;

/// An attempt at a run. Its number is the fencing token of the worker that holds its lease.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId {
    /// The id of the run.
    pub job_id: String,
    /// The number of the attempt, from 1.
    pub attempt: i32,
}

/// A run whose attempt was leased to this worker.
#[derive(Clone, Debug)]
pub struct LeasedRun {
    /// The attempt.
    pub id: AttemptId,
    /// The name of the source that scrapes it.
    pub source: String,
    /// The locations without a result, in order.
    pub locations: Vec<String>,
    /// Pause between two locations.
    pub request_delay: Duration,
    /// Properties that the run has scraped so far.
    pub scraped: i64,
    /// The lease expires after this time without a heartbeat, counted from the start of the call.
    pub expires_in: Duration,
    /// The attempt times out after this time, counted from the start of the call.
    pub attempt_expires_in: Duration,
    /// The scheduled job of the run; `None` for a one-off run.
    pub scheduled_job_id: Option<String>,
    /// The origin of the run as in the API, for example `scheduled`.
    pub origin: String,
    /// The tick of a scheduled run.
    pub tick_at: Option<DateTime<Utc>>,
    /// `past_days` counts back from this time.
    pub reference_time: DateTime<Utc>,
    /// The parameters of the run as proto JSON with `snake_case` names.
    pub parameters: Value,
    /// The listing types of the parameters.
    pub listing_types: Vec<String>,
    /// Maximum number of properties of a location.
    pub limit: u32,
}

/// Severity of a line in a run's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Details for the author of a source.
    Debug,
    /// Normal progress of a location.
    Info,
    /// Unexpected, but the location continues.
    Warning,
    /// A location or the attempt failed.
    Error,
}

/// A line of a run's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Numbers the lines of the attempt from 1, so that a repeated line is stored once; 0 is always stored.
    pub sequence: i64,
    /// The location; empty for the whole attempt.
    pub location: String,
    /// Time of the line by the worker's clock.
    pub logged_at: DateTime<Utc>,
    /// Severity.
    pub level: Level,
    /// One line of text.
    pub text: String,
}

/// The failure of a location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The reason, for the user.
    pub reason: String,
    /// Whether another attempt would fail as well.
    pub permanent: bool,
}

/// The result of a location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocationResult {
    /// The location as in the parameters.
    pub location: String,
    /// `None` if the location is complete.
    pub failure: Option<Failure>,
}

/// News of an attempt apart from its properties. Idempotent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttemptUpdate {
    /// Locations that have ended.
    pub results: Vec<LocationResult>,
    /// New lines of the log.
    pub lines: Vec<LogLine>,
}

impl AttemptUpdate {
    /// True if there is nothing to report.
    pub fn is_empty(&self) -> bool {
        self.results.is_empty() && self.lines.is_empty()
    }
}

/// A property and the location at which it was found.
#[derive(Clone, Debug, PartialEq)]
pub struct ScrapedProperty {
    /// The location as in the parameters.
    pub location: String,
    /// The property.
    pub property: Property,
}

/// A batch of an attempt's results.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Scraped properties of the run before this report: identifies a repeated report.
    pub scraped_before: i64,
    /// Properties in the order in which they were found.
    pub properties: Vec<ScrapedProperty>,
    /// Location results and log lines.
    pub update: AttemptUpdate,
}

/// The end of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every location has a result.
    Done,
    /// The attempt failed as a whole.
    Failed {
        /// The reason, for the user.
        reason: String,
        /// Whether another attempt would fail as well.
        permanent: bool,
    },
    /// The worker stopped because the run is to be cancelled.
    Cancelled,
    /// The worker is shutting down and returns the run.
    Released,
}

/// The part of a heartbeat about one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeartbeatItem {
    /// The attempt.
    pub id: AttemptId,
    /// Whether the worker knows of the request to cancel the run.
    pub cancel_acknowledged: bool,
    /// News of the attempt.
    pub update: AttemptUpdate,
}

/// The state of a lease that is still held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseStatus {
    /// Whether the run is to be cancelled.
    pub cancel_requested: bool,
    /// The lease expires after this time without a heartbeat, counted from the start of the call.
    pub expires_in: Duration,
    /// Whether the news of the heartbeat are not stored yet, so that they have to be sent again.
    pub update_pending: bool,
}
