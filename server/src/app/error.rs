//! Errors of use cases, one variant for each reaction that a caller may have.

use crate::domain::id::{RunId, ScheduledJobId};
use crate::domain::run::InvalidTransition;
use crate::domain::violation::Violation;
use crate::store::StoreError;
use crate::watch::{TooManyWatches, WatchError};

/// The error of a use case. Every variant except `Store` guarantees that nothing was changed; after a
/// database failure the outcome of the commit may be unknown.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// Fields of the request are invalid. Paths are relative to the value that was passed.
    #[error("the request is invalid")]
    Invalid(Vec<Violation>),
    /// Neither a scheduled job nor a run has this id.
    #[error("Job not found: {0}")]
    JobNotFound(String),
    #[error("Scheduled job not found: {0}")]
    ScheduledJobNotFound(ScheduledJobId),
    #[error("Run not found: {0}")]
    RunNotFound(RunId),
    #[error("property not found: {property_id} of source {source_name}")]
    PropertyNotFound { source_name: String, property_id: String },
    #[error("scheduled job {0} is deleted; undelete it first")]
    JobDeleted(ScheduledJobId),
    /// The stored settings of the scheduled job are invalid, for example after a manual change in the database.
    #[error("the job's stored settings are invalid; update them: {}", join_violations(.0))]
    JobUnreadable(Vec<Violation>),
    #[error("scheduled job {0} is not deleted")]
    JobNotDeleted(ScheduledJobId),
    /// The run has ended and cannot be cancelled.
    #[error("{0}")]
    RunEnded(#[source] InvalidTransition),
    /// The id is or was in use.
    #[error("scheduled job {0} exists or existed; ids are not reused")]
    ScheduledJobExists(ScheduledJobId),
    #[error("request_id {0} was already used for a different request")]
    RequestIdReused(String),
    /// The settings were changed since the caller read them.
    #[error("the scheduled job was changed concurrently; its etag is now {current}")]
    EtagMismatch { current: String },
    #[error("run {0} has not ended yet")]
    RunActive(RunId),
    #[error("run {0} has no failed locations")]
    NothingToRetry(RunId),
    /// Too many calls of this kind are waiting for the database.
    #[error("too many calls are waiting; try again later")]
    Overloaded,
    /// The attempt is no longer the current one: its lease expired, or the run ended.
    #[error("attempt {attempt} of run {run} has lost its lease")]
    LeaseLost { run: RunId, attempt: i32 },
    #[error(transparent)]
    Watch(#[from] WatchError),
    #[error(transparent)]
    TooManyWatches(#[from] TooManyWatches),
    /// The database failed. [`StoreError::is_transient`] says whether a retry can help.
    #[error("database error")]
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
