//! Connections to the database, and transactions.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection, PgPool, Postgres, Transaction};

use super::StoreError;

/// A call that waits longer for a connection fails with UNAVAILABLE.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection that was idle for this long is tested before its next use. One that was just used still works,
/// and a test would cost every transaction a round trip.
const TESTED_AFTER: Duration = Duration::from_secs(1);
/// Our transactions wait for nothing but the database, so an idle one has lost its server.
const IDLE_IN_TRANSACTION: &str = "5s";

/// Begins a transaction that writes. Its statements address rows by key, whatever the statistics say: on a table
/// that was small when it was last analyzed, the planner would read all of it. One plan serves every call, and
/// the cost that the planner adds to what is off must not make it compile the plan.
macro_rules! write {
    ($more:literal) => {
        concat!(
            "begin; set local enable_seqscan = off; set local enable_hashjoin = off; ",
            "set local enable_mergejoin = off; set local jit = off; ",
            "set local plan_cache_mode = force_generic_plan",
            $more
        )
    };
}

/// Opens a pool with at most `connections` connections.
pub async fn connect(options: PgConnectOptions, connections: u32) -> Result<PgPool, sqlx::Error> {
    let options = options
        .application_name("windrow-server")
        // - client_min_messages: notices such as "already exists, skipping" are noise.
        // - idle_in_transaction_session_timeout: the transaction of a killed server must not keep its locks.
        // - jit: our statements are short, and compiling them takes longer than running them. On a database
        //   without statistics, compiling the pruning of the feed was logged as a slow statement.
        .options([
            ("client_min_messages", "warning"),
            ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION),
            ("jit", "off"),
        ]);
    // Connect once without the pool, which would retry and then report a timeout instead of the cause.
    PgConnection::connect_with(&options).await?.close().await?;
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .before_acquire(|conn, meta| {
            Box::pin(async move {
                if meta.idle_for >= TESTED_AFTER {
                    conn.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_with(options)
        .await
}

/// Begins a transaction. If the caller is dropped meanwhile, as at a call's deadline, the transaction is still
/// begun and then rolled back: sqlx 0.9.0 would return the connection to the pool with the transaction open
/// (<https://github.com/transact-rs/sqlx/issues/4393>), and the next user would work inside it.
pub async fn begin(pool: &PgPool) -> Result<Transaction<'static, Postgres>, StoreError> {
    begin_by(pool, write!("")).await
}

/// Like [`begin`], for several calls. A statement that waits longer than a second for a lock fails with
/// [`StoreError::Locked`], so that one locked row does not delay all of them.
pub async fn begin_shared(pool: &PgPool) -> Result<Transaction<'static, Postgres>, StoreError> {
    begin_by(pool, write!("; set local lock_timeout = '1s'")).await
}

/// Like [`begin`], for one call that may wait for the locks of others: up to ten seconds, which is longer than any of
/// our transactions takes.
pub async fn begin_alone(pool: &PgPool) -> Result<Transaction<'static, Postgres>, StoreError> {
    begin_by(pool, write!("; set local lock_timeout = '10s'")).await
}

/// Begins a read-only transaction whose statements all see the same snapshot.
pub async fn begin_snapshot(pool: &PgPool) -> Result<Transaction<'static, Postgres>, StoreError> {
    begin_by(pool, "begin isolation level repeatable read read only").await
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
