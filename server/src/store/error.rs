//! Errors of the database, named by what a caller can do about them.

use std::sync::Arc;
use std::time::Duration;

use sqlx::error::DatabaseError;

const INTERFERED: &str = "another transaction interfered with the call";
const UNAVAILABLE: &str = "the database is not available";

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the scheduled job already exists")]
    ScheduledJobExists,
    /// The same tick was decided twice.
    #[error("the tick already has a run")]
    TickHasRun,
    /// Another transaction changed the run since it was read: read it again.
    #[error("the run was changed concurrently")]
    Stale,
    /// A row has a value that this version cannot read.
    #[error("{table} {id} cannot be read: {reason}")]
    Unreadable { table: &'static str, id: String, reason: String },
    /// The database is read-only.
    #[error("the database is a read-only standby")]
    Standby,
    /// The feed has an epoch that this server does not know yet.
    #[error("the database was restored or failed over")]
    AnotherFeed,
    #[error("the database did not answer in time")]
    TimedOut,
    /// A row that the call needs is locked by another transaction, and stays so.
    #[error("another transaction locks a row for too long")]
    Locked,
    #[error("no database connection within {} s: {cause}", waited.as_secs())]
    NoConnection { waited: Duration, cause: String },
    /// The transaction ended without a result.
    #[error("the transaction was aborted")]
    Aborted,
    /// The error of a transaction that several calls shared.
    #[error(transparent)]
    Shared(Arc<StoreError>),
    #[error(transparent)]
    Database(sqlx::Error),
}

impl StoreError {
    /// Whether the same call may succeed later: the connection was lost, the pool was exhausted, the database is
    /// restarting, or another transaction conflicted.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Stale
            | Self::Aborted
            | Self::TimedOut
            | Self::Locked
            | Self::NoConnection { .. }
            | Self::Standby
            | Self::AnotherFeed => true,
            Self::ScheduledJobExists | Self::TickHasRun | Self::Unreadable { .. } => false,
            Self::Shared(error) => error.is_transient(),
            Self::Database(error) => is_rolled_back(error) || self.is_unavailable(),
        }
    }

    /// Whether another transaction locks a row that the call needs.
    pub fn is_locked(&self) -> bool {
        matches!(self, Self::Locked)
    }

    /// Whether the database cannot serve any call at the moment.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::TimedOut | Self::NoConnection { .. } | Self::Standby | Self::AnotherFeed => true,
            Self::Shared(error) => error.is_unavailable(),
            Self::Database(error) => is_unavailable(error),
            Self::Stale
            | Self::Aborted
            | Self::Locked
            | Self::ScheduledJobExists
            | Self::TickHasRun
            | Self::Unreadable { .. } => false,
        }
    }

    /// The trouble of a call that may succeed later, for its caller: without details of the database.
    pub fn summary(&self) -> &'static str {
        match self {
            Self::Shared(error) => error.summary(),
            Self::Standby => "the database is a read-only standby",
            Self::NoConnection { .. } => "no database connection was free in time",
            Self::TimedOut => "the database did not answer in time",
            Self::AnotherFeed => "the database was restored or failed over",
            Self::Stale | Self::Aborted | Self::Locked => INTERFERED,
            Self::Database(error) => summary_of(error),
            Self::ScheduledJobExists | Self::TickHasRun | Self::Unreadable { .. } => UNAVAILABLE,
        }
    }

    pub(super) fn unreadable(table: &'static str, id: &str, reason: &impl ToString) -> Self {
        Self::Unreadable { table, id: id.to_owned(), reason: reason.to_string() }
    }
}

fn summary_of(error: &sqlx::Error) -> &'static str {
    let code = error.as_database_error().and_then(DatabaseError::code).unwrap_or_default();
    match code.as_ref() {
        "53100" => "the disk of the database is full",
        "53200" => "the database is out of memory",
        "53300" => "the database allows no more connections",
        "25006" => "the database is read-only",
        "57P01" | "57P02" | "57P03" => "the database is starting or stopping",
        code if code.starts_with("40") => INTERFERED,
        _ => UNAVAILABLE,
    }
}

/// Rollbacks by the database, for example of a deadlock.
fn is_rolled_back(error: &sqlx::Error) -> bool {
    let error = error.as_database_error();
    error.and_then(DatabaseError::code).is_some_and(|code| code.starts_with("40"))
}

fn is_lock_timeout(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(DatabaseError::code).is_some_and(|code| code == "55P03")
}

fn is_unavailable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Tls(_) => true,
        // Connection exceptions, insufficient resources, operator intervention, an idle transaction that timed
        // out, and a standby before its promotion.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            ["08", "53", "57", "25P03", "25006"].iter().any(|class| code.starts_with(class))
        }),
        _ => false,
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if is_lock_timeout(&error) {
            return Self::Locked;
        }
        match error.as_database_error().and_then(|error| error.constraint()) {
            Some("scheduled_job_pkey") => Self::ScheduledJobExists,
            Some("scraping_job_one_per_tick") => Self::TickHasRun,
            Some(_) | None => Self::Database(error),
        }
    }
}
