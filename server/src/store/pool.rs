//! Connections to the database.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, Executor, PgConnection, PgPool, Row};

/// A call waits at most so long for a connection before it is UNAVAILABLE.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// A transaction of ours waits for nothing but the database.
const IDLE_IN_TRANSACTION: &str = "5s";

/// A pool of at most so many connections; an error tells why there cannot be one.
pub async fn connect(options: PgConnectOptions, connections: u32) -> Result<PgPool, sqlx::Error> {
    let options = options
        .application_name("windrow-server")
        // Notices such as "already exists, skipping" tell nobody anything.
        // A transaction whose server was stopped in the middle must not hold its locks for ever.
        .options([
            ("client_min_messages", "warning"),
            ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION),
        ]);
    // A pool would try for long and then only say that it timed out.
    PgConnection::connect_with(&options).await?.close().await?;
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .after_release(|connection, _| Box::pin(is_outside_of_transactions(connection)))
        .connect_with(options)
        .await
}

/// Whether a connection may go back to the pool. A `begin` that is given up while the database answers, as
/// by a call's deadline, leaves its transaction open, and sqlx 0.9.0 does not notice
/// (<https://github.com/transact-rs/sqlx/issues/4393>); whoever comes next would work inside it.
async fn is_outside_of_transactions(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    // Without parameters, so that it is one simple query.
    let row = connection
        .fetch_one(sqlx::raw_sql("select transaction_timestamp() = statement_timestamp()"))
        .await?;
    row.try_get(0)
}
