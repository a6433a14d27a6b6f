//! What every worker of Windrow does, inside its server and outside: lease runs, go through their
//! locations with a [`Source`], report what it finds, keep the leases, finish.
//!
//! The protocol is somebody else's: a [`WorkerTransport`] carries it, in the server by a call, elsewhere over gRPC.
//!
//! ```text
//! Worker::run ─ lease ─▶ Executor (one per attempt) ─ Reporter ─▶ WorkerTransport
//! Worker::keep ─ heartbeat ─▶ Attempts ─ stop ─▶ Executor
//! ```

#![warn(missing_docs)]

mod attempts;
mod executor;
mod link;
mod reporter;
mod source;
mod worker;

pub use self::link::{
    AttemptId, AttemptUpdate, HeartbeatItem, LeaseStatus, LeasedRun, Level, Line, LocationResult,
    Outcome, Report, TransportError, WorkerTransport,
};
pub use self::source::{ScrapeOutcome, ScrapeRequest, ScrapedRow, Source, SourceError};
pub use self::worker::Worker;
