//! Connections to the database, and transactions.
//!
//! Calls share a pool, which adapts to the number of connections that the database allows ([`capacity`]). The
//! feed and the listener have connections of their own, so that they work while the pool is exhausted.

mod capacity;
mod checks;
mod connect;
mod session;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::PgConnectOptions;
use sqlx::{PgConnection, PgPool, Postgres, SqlSafeStr, Transaction};
use tokio::time::{sleep, timeout};

use self::capacity::Capacity;
pub use self::connect::{ConnectError, connect};
use super::StoreError;

/// A call that waits longer for a connection fails with UNAVAILABLE.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// Retries of a connection outside the pool that the database refused.
const REFUSALS: usize = 20;
const REFUSED_PAUSE: Duration = Duration::from_millis(50);

/// Begins a transaction that may read large parts of a table: the planner decides, unlike in other sessions.
const READ: &str = "\
    begin isolation level repeatable read read only;
    set local enable_seqscan = on;
    set local enable_hashjoin = on;
    set local enable_mergejoin = on;
    set local plan_cache_mode = auto";

/// The connections of a server.
#[derive(Clone)]
pub struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    calls: PgPool,
    /// One connection, opened by the listener. `None` if the database does not allow one more.
    listener: Option<PgPool>,
    capacity: Capacity,
}

impl Pool {
    /// A connection for one call.
    pub async fn acquire(&self) -> Result<PoolConnection<Postgres>, StoreError> {
        let Shared { calls, capacity, .. } = &*self.shared;
        match timeout(ACQUIRE_TIMEOUT, capacity.acquire(calls)).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(sqlx::Error::PoolTimedOut)) | Err(_) => Err(capacity.exhausted()),
            Ok(Err(error)) => Err(connect::explained(error, &calls.connect_options()).into()),
        }
    }

    /// Opens a connection outside the pool. A connection that was just closed still counts for Postgres for a
    /// moment, so a refusal is retried.
    pub async fn connect_alone(&self) -> Result<PgConnection, StoreError> {
        let options = self.shared.calls.connect_options();
        for _ in 0..REFUSALS {
            match connect::session(&options).await {
                Err(error) if connect::is_refused(&error) => sleep(REFUSED_PAUSE).await,
                connected => return Ok(connected?),
            }
        }
        Ok(connect::session(&options).await?)
    }

    pub(super) fn of_listener(&self) -> Option<&PgPool> {
        self.shared.listener.as_ref()
    }

    /// Maximum number of connections in the pool.
    pub fn max_size(&self) -> u32 {
        self.shared.capacity.limit()
    }

    /// Number of open connections in the pool.
    pub fn size(&self) -> u32 {
        self.shared.calls.size()
    }

    pub fn idle(&self) -> u32 {
        u32::try_from(self.shared.calls.num_idle()).unwrap_or(u32::MAX)
    }

    /// Closes all connections, and waits for those in use.
    pub async fn close(&self) {
        if let Some(listener) = &self.shared.listener {
            listener.close().await;
        }
        self.shared.calls.close().await;
    }

    fn new(options: PgConnectOptions, connections: u32, may_listen: bool) -> Self {
        let capacity = Capacity::new(connections);
        let calls = session::pool(options.clone(), connections, Some(capacity.in_use()));
        let listener = may_listen.then(|| session::pool(options, 1, None));
        Self { shared: Arc::new(Shared { calls, listener, capacity }) }
    }
}

/// A pool like one that was opened elsewhere, for tests.
impl From<PgPool> for Pool {
    fn from(other: PgPool) -> Self {
        let options = PgConnectOptions::clone(&other.connect_options());
        Self::new(options, other.options().get_max_connections(), true)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Pool").field("size", &self.size()).finish_non_exhaustive()
    }
}

/// Begins a transaction. If the caller is dropped meanwhile, as at a call's deadline, the transaction is still
/// begun and then rolled back: sqlx 0.9.0 would return the connection to the pool with the transaction open
/// (<https://github.com/transact-rs/sqlx/issues/4393>), and the next user would work inside it.
pub async fn begin(pool: &Pool) -> Result<Transaction<'static, Postgres>, StoreError> {
    begin_by(pool, "begin; set local lock_timeout = 0").await
}

/// Like [`begin`], for several calls. A statement that waits longer than a second for a lock fails with
/// [`StoreError::Locked`], so that one locked row does not delay all of them.
pub async fn begin_shared(pool: &Pool) -> Result<Transaction<'static, Postgres>, StoreError> {
    begin_by(pool, "begin").await
}

/// Like [`begin`], for one call that may wait for the locks of others: up to ten seconds, which is longer than any of
/// our transactions takes.
pub async fn begin_alone(pool: &Pool) -> Result<Transaction<'static, Postgres>, StoreError> {
    begin_by(pool, "begin; set local lock_timeout = '10s'").await
}

/// Begins a read-only transaction whose statements all see the same snapshot.
pub async fn begin_snapshot(pool: &Pool) -> Result<Transaction<'static, Postgres>, StoreError> {
    begin_by(pool, READ).await
}

#[expect(clippy::disallowed_methods, reason = "it ends with the database's answer")]
async fn begin_by(
    pool: &Pool,
    statement: &'static str,
) -> Result<Transaction<'static, Postgres>, StoreError> {
    let pool = pool.clone();
    let begun = tokio::spawn(async move {
        let connection = pool.acquire().await?;
        Ok(Transaction::begin(connection, Some(statement.into_sql_str())).await?)
    });
    begun.await.unwrap_or(Err(StoreError::Database(sqlx::Error::WorkerCrashed)))
}
