//! Sessions: settings that every connection has, whatever the defaults of its role and database are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, Executor as _, PgConnection, PgPool};

use super::ACQUIRE_TIMEOUT;

/// A connection that was idle for this long is tested before its next use. One that was just used still works,
/// and a test would cost every transaction a round trip.
const TESTED_AFTER: Duration = Duration::from_secs(1);

/// Set after connecting: PgBouncer refuses most settings at the start of a connection.
///
/// - client_min_messages: notices such as "already exists, skipping" are noise.
/// - default_transaction_isolation: a lock that was waited for must show the row as it is now, and without this
///   a role may have a level at which concurrent calls fail.
/// - enable_seqscan, enable_hashjoin, enable_mergejoin, plan_cache_mode: statements address rows by key, whatever the
///   statistics say: on a table that was small when it was last analyzed, the planner would read all of it. One
///   plan serves every call.
/// - extra_float_digits: numbers are read as they were stored.
/// - idle_in_transaction_session_timeout: the transaction of a killed server must not keep its locks. Our
///   transactions wait for nothing but the database.
/// - idle_session_timeout: the pool closes its connections itself.
/// - lock_timeout: a statement without a transaction serves a batch of calls, which one locked row must not delay.
///   Transactions have limits of their own.
/// - jit: our statements are short, and compiling them takes longer than running them. On a database without
///   statistics, compiling the pruning of the feed was logged as a slow statement.
/// - max_parallel_workers_per_gather: starting a worker takes longer than reading a page, and it takes the processor
///   from other calls.
const SETTINGS: &str = "\
    set client_min_messages = warning;
    set default_transaction_isolation = 'read committed';
    set default_transaction_deferrable = off;
    set enable_seqscan = off;
    set enable_hashjoin = off;
    set enable_mergejoin = off;
    set extra_float_digits = 1;
    set idle_in_transaction_session_timeout = '5s';
    set idle_session_timeout = 0;
    set lock_timeout = '1s';
    set jit = off;
    set max_parallel_workers_per_gather = 0;
    set plan_cache_mode = force_generic_plan";

pub(super) async fn set_up(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    connection.execute(sqlx::raw_sql(SETTINGS)).await?;
    Ok(())
}

/// A pool that opens its connections when they are needed. `in_use` counts connections that were acquired; the
/// pool counts them down when they return.
pub(super) fn pool(
    options: PgConnectOptions,
    connections: u32,
    in_use: Option<Arc<AtomicU32>>,
) -> PgPool {
    PgPoolOptions::new()
        .max_connections(connections)
        // The caller has a timeout of its own, which must be the first.
        .acquire_timeout(2 * ACQUIRE_TIMEOUT)
        // Its end would not be counted.
        .max_lifetime(None)
        .test_before_acquire(false)
        .after_connect(|connection, _| Box::pin(set_up(connection)))
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for >= TESTED_AFTER {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .after_release(move |_, _| {
            if let Some(in_use) = &in_use {
                in_use.fetch_sub(1, Ordering::Relaxed);
            }
            Box::pin(async { Ok(true) })
        })
        .connect_lazy_with(options)
}
