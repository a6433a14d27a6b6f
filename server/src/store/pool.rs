//! Connections to the database, and transactions.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection, PgPool, Postgres, Transaction};

use super::StoreError;

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
        .connect_with(options)
        .await
}

/// Begins a transaction. It is begun to the end though the caller gives up meanwhile, as at a call's
/// deadline, and ended then: sqlx 0.9.0 would give the connection back with the transaction open
/// (<https://github.com/transact-rs/sqlx/issues/4393>), and whoever comes next would work inside it.
pub async fn begin(pool: &PgPool) -> Result<Transaction<'static, Postgres>, StoreError> {
    begin_by(pool, "begin").await
}

/// A transaction whose statements all see the same state. Lists have conditions that mostly are not asked
/// for, so each is planned for what is.
pub async fn begin_snapshot(pool: &PgPool) -> Result<Transaction<'static, Postgres>, StoreError> {
    let begin = "begin isolation level repeatable read read only; \
                 set local plan_cache_mode = force_custom_plan";
    begin_by(pool, begin).await
}

#[expect(clippy::disallowed_methods, reason = "it ends with the database's answer")]
async fn begin_by(
    pool: &PgPool,
    statement: &'static str,
) -> Result<Transaction<'static, Postgres>, StoreError> {
    let pool = pool.clone();
    let begun = tokio::spawn(async move { pool.begin_with(statement).await });
    Ok(begun.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))?)
}
