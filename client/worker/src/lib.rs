//! What every worker of Windrow does, inside its server and outside: lease runs, go through their
//! locations with a [`Source`], report what it finds, keep the leases, finish.
//!
//! The protocol is somebody else's: a [`Link`] carries it, in the server by a call, elsewhere over gRPC.
//!
//! ```text
//! Worker::run ─ lease ─▶ Executor (one per attempt) ─ Reporter ─▶ Link
//! Worker::keep ─ heartbeat ─▶ Attempts ─ stop ─▶ Executor
//! ```

mod attempts;
mod executor;
mod link;
mod reporter;
mod source;
mod worker;

pub use self::link::{
    Assignment, AttemptId, Beat, Level, Line, Link, LinkError, LocationResult, Outcome, Pulse,
    Report, Said,
};
pub use self::source::{ScrapeOutcome, ScrapeRequest, ScrapedRow, Source, SourceError};
pub use self::worker::Worker;
