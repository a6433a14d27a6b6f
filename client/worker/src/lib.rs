//! The worker of Windrow, inside its server and outside: leases runs, scrapes their locations with a
//! [`Source`], submits the results, keeps the leases, and finishes the runs.
//!
//! It knows no protocol. A [`WorkerTransport`] carries its calls: the server calls its use cases directly,
//! the client library uses gRPC.
//!
//! ```text
//! Worker::run ── lease ──▶ Executor (one per attempt) ── Task ──▶ Source
//!                              ▲ stop    └─ Reporter ── submit ──▶ WorkerTransport
//! Worker::keep_leases ── heartbeat ──▶ HeldAttempts
//! ```

#![warn(missing_docs)]

mod attempt;
mod backoff;
mod body;
mod error_chain;
mod executor;
mod held;
mod outage;
mod panic;
mod property;
mod reporter;
mod scrape;
mod secrets;
mod source;
mod task;
mod task_log;
#[cfg(test)]
mod tests;
mod transport;
mod worker;

pub use self::attempt::{
    AttemptId, AttemptUpdate, Failure, HeartbeatItem, LeaseStatus, LeasedRun, Level,
    LocationResult, LogLine, Outcome, Report, ScrapedProperty,
};
pub use self::body::{BODY_BYTES, BODY_DEPTH};
pub use self::error_chain::error_chain;
pub use self::outage::Outage;
pub use self::property::{InvalidProperty, PROPERTY_ID_LENGTH, Property};
pub use self::scrape::scrape;
pub use self::secrets::Secrets;
pub use self::source::{DEFAULT_TIMEOUT, Source, SourceError};
pub use self::task::{Found, ScrapeRequest, Task, TaskOutput};
pub use self::task_log::TaskLine;
pub use self::transport::{TransportError, WorkerTransport};
pub use self::worker::Worker;
