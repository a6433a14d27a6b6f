//! Errors of the database, named by what a caller can do about them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use sqlx::error::DatabaseError;

const INTERFERED: &str = "another transaction interfered with the call";
const UNAVAILABLE: &str = "the database is not available";
const SILENT: &str = "the database did not answer in time";
const ALL_IN_USE: &str = "no database connection was free in time";

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
    #[error("no database connection within {} s: {trouble}", waited.as_secs())]
    NoConnection { waited: Duration, trouble: Trouble },
    /// The transaction ended without a result.
    #[error("the transaction was aborted")]
    Aborted,
    /// The error of a transaction that several calls shared.
    #[error(transparent)]
    Shared(Arc<StoreError>),
    #[error(transparent)]
    Database(sqlx::Error),
}

/// The reason why a call got no connection.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{cause}")]
pub struct Trouble {
    /// For the log.
    cause: String,
    /// For the caller: without details of the database.
    summary: &'static str,
}

impl Trouble {
    /// The connections that are open are in use, and there are no more.
    pub(super) fn all_in_use(cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), summary: ALL_IN_USE }
    }

    /// The database accepts a connection and does not answer.
    pub(super) fn silent() -> Self {
        Self { cause: "the database does not answer".to_owned(), summary: SILENT }
    }
}

/// The error of an attempt to connect.
impl From<&sqlx::Error> for Trouble {
    fn from(error: &sqlx::Error) -> Self {
        // Without the line in the source of Postgres, which sqlx appends.
        let answer = error.as_database_error().map(|error| error.message().to_owned());
        Self { cause: answer.unwrap_or_else(|| error.to_string()), summary: summary_of(error) }
    }
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
            Self::NoConnection { trouble, .. } => trouble.summary,
            Self::TimedOut => SILENT,
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
    if let sqlx::Error::Io(error) = error {
        return match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => {
                "the database is not running"
            }
            io::ErrorKind::TimedOut => SILENT,
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof => "the connection to the database was lost",
            _ => UNAVAILABLE,
        };
    }
    let code = error.as_database_error().and_then(DatabaseError::code).unwrap_or_default();
    match code.as_ref() {
        "53100" => "the disk of the database is full",
        "53200" => "the database is out of memory",
        "53300" => "the database allows no more connections",
        "25006" => "the database is read-only",
        "28000" | "28P01" => "the database refuses the login of the server",
        "3D000" => "the database does not exist",
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

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> sqlx::Error {
        let text = "Postgres is not running at db.internal:5432: Connection refused";
        sqlx::Error::Io(io::Error::new(io::ErrorKind::ConnectionRefused, text))
    }

    #[test]
    fn a_call_without_a_connection_gets_the_cause_without_details() {
        let waited = Duration::from_secs(5);
        let check = |trouble: Trouble, in_log: &str, for_caller: &str| {
            let error = StoreError::NoConnection { waited, trouble };
            assert_eq!(error.to_string(), format!("no database connection within 5 s: {in_log}"));
            assert_eq!(error.summary(), for_caller);
        };
        check(Trouble::from(&refused()), &refused().to_string(), "the database is not running");
        check(Trouble::all_in_use("all 16 are"), "all 16 are", ALL_IN_USE);
        assert_eq!(StoreError::from(refused()).summary(), "the database is not running");
    }
}
