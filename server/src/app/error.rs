//! Why a use case was refused, named by what a caller can do about it.

use crate::domain::id::{RunId, ScheduledJobId};
use crate::domain::run::InvalidTransition;
use crate::domain::violation::Violation;
use crate::store::StoreError;
use crate::watch::TooManyWatches;

/// Why a use case was refused. Every refusal but `Store` leaves everything unchanged.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// Fields of the request are wrong; paths are relative to the value that was passed.
    #[error("the request is not valid")]
    Invalid(Vec<Violation>),
    /// There is neither a scheduled job nor a run of this id.
    #[error("Job not found: {0}")]
    JobNotFound(String),
    /// There is no such scheduled job.
    #[error("Scheduled job not found: {0}")]
    ScheduledJobNotFound(ScheduledJobId),
    /// There is no such run.
    #[error("Run not found: {0}")]
    RunNotFound(RunId),
    /// No run has found such a property.
    #[error("Property not found: {property_id} of source {source_name}")]
    PropertyNotFound {
        source_name: String,
        /// The source's id of it.
        property_id: String,
    },
    /// The scheduled job is deleted; undelete it first.
    #[error("Scheduled job {0} is deleted")]
    JobDeleted(ScheduledJobId),
    /// What is stored of the scheduled job cannot be read, as after a change by hand; an update mends it.
    #[error("the scheduled job's stored settings cannot be read: {}", join_violations(.0))]
    JobUnreadable(Vec<Violation>),
    /// The scheduled job is not deleted.
    #[error("Scheduled job {0} is not deleted")]
    JobNotDeleted(ScheduledJobId),
    /// The run has ended otherwise and cannot be cancelled.
    #[error("{0}")]
    RunEnded(#[source] InvalidTransition),
    /// The id is or was in use.
    #[error("Scheduled job {0} exists or existed; ids are not reused")]
    ScheduledJobExists(ScheduledJobId),
    /// The request id came with another payload.
    #[error("request_id {0} was used for another request")]
    RequestIdReused(String),
    /// Somebody changed the settings in between.
    #[error("the scheduled job was changed in between; its etag is {current}")]
    EtagMismatch { current: String },
    /// The run has not ended.
    #[error("run {0} has not ended")]
    RunActive(RunId),
    /// The run has done all its locations.
    #[error("run {0} has no failed locations")]
    NothingToRetry(RunId),
    /// The caller's attempt is no longer the run's: its lease expired, or the run ended.
    #[error("attempt {attempt} of run {run} has lost its lease")]
    LeaseLost { run: RunId, attempt: i32 },
    /// The cursor is ahead of the run, as after a restore of the database.
    #[error("the run is at revision {current}, before the cursor")]
    CursorAhead { current: i64 },
    /// The cursor of a watch is older than the changes that are kept.
    #[error("changes after the cursor are no longer kept; watch from the beginning")]
    TokenExpired,
    /// The database is not the one that the watch or its token began with.
    #[error("the database was restored or failed over; watch from the beginning")]
    FeedReset,
    /// A limit on watches is reached.
    #[error(transparent)]
    TooManyWatches(#[from] TooManyWatches),
    #[error("the server is stopping")]
    Stopping,
    /// The database failed; see [`StoreError::is_transient`].
    #[error("the database failed")]
    Store(#[from] StoreError),
}

impl AppError {
    pub(crate) fn invalid(field: &str, description: impl Into<String>) -> Self {
        Self::Invalid(vec![Violation::new(field, description)])
    }
}

/// The violations as one line: `field: description; …`.
pub(crate) fn join_violations(violations: &[Violation]) -> String {
    let lines = violations.iter().map(|v| format!("{}: {}", v.field, v.description));
    lines.collect::<Vec<_>>().join("; ")
}
