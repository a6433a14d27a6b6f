//! What can go wrong with the database, named by what a caller can do.

/// Why the database did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The scheduled job's id is taken.
    #[error("the scheduled job exists")]
    ScheduledJobExists,
    /// The tick has its run already: the gate was passed twice.
    #[error("the tick has a run already")]
    TickHasRun,
    /// Somebody else changed the run since it was read; read again.
    #[error("the run was changed in between")]
    Stale,
    /// A row holds what this version cannot read.
    #[error("{table} {id} cannot be read: {reason}")]
    Unreadable {
        table: &'static str,
        id: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The database is a standby, where nothing can be written.
    #[error("the database is a standby")]
    Standby,
    /// The database's feed is another one than this server knows; it is about to learn.
    #[error("the database has changed under the server")]
    AnotherFeed,
    /// The database did not answer in time.
    #[error("the database did not answer in time")]
    TimedOut,
    #[error("the statement failed")]
    Database(#[source] sqlx::Error),
}

impl StoreError {
    /// Whether the same call may succeed a little later: the connection was lost, the pool was
    /// exhausted, the database restarts, or another transaction was in the way.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Stale | Self::TimedOut | Self::Standby | Self::AnotherFeed => true,
            Self::ScheduledJobExists | Self::TickHasRun | Self::Unreadable { .. } => false,
            Self::Database(error) => is_transient(error),
        }
    }

    pub(super) fn unreadable(table: &'static str, id: &str, reason: &impl ToString) -> Self {
        Self::Unreadable { table, id: id.to_owned(), reason: reason.to_string() }
    }
}

fn is_transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Tls(_) => true,
        // Connection exceptions, rollbacks by the database, lack of resources, operator intervention, a
        // transaction that was idle for too long, and a standby that is to be promoted.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            ["08", "40", "53", "57", "25P03", "25006"].iter().any(|class| code.starts_with(class))
        }),
        _ => false,
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error.as_database_error().and_then(|error| error.constraint()) {
            Some("scheduled_job_pkey") => Self::ScheduledJobExists,
            Some("scraping_job_one_per_tick") => Self::TickHasRun,
            Some(_) | None => Self::Database(error),
        }
    }
}
