//! Connections to a distant database.

use std::time::Duration;

use futures::future::{Either, select};
use sqlx::{Executor as _, PgPool, Row as _, raw_sql};
use tokio::time::sleep;
use windrow_server::store;

use crate::support::database::new_database;
use crate::support::proxy::{Line, Proxy, Upstream};

#[tokio::test]
async fn a_connection_is_never_reused_with_a_cancelled_transaction_open() {
    let url = new_database().await;
    let near = PgPool::connect(&url).await.unwrap();
    let line = Proxy::start_to(Upstream::database(&url)).await;
    let far = store::connect(line.database_url(&url).parse().unwrap(), 1).await.unwrap();
    line.set(Line::Slow(Duration::from_millis(100)));
    // Cancelled after Postgres has begun the transaction and before its answer arrives.
    let begin = || Box::pin(store::begin(&far));
    while let Either::Left((tx, _)) = select(begin(), Box::pin(begun(&near))).await {
        tx.unwrap().rollback().await.unwrap();
    }
    line.set(Line::Clear);

    // Uses the simple protocol, because the transaction of a prepared statement begins before it.
    let outside = raw_sql("select transaction_timestamp() = statement_timestamp()");
    let outside: bool = far.acquire().await.unwrap().fetch_one(outside).await.unwrap().get(0);
    assert!(outside, "the connection returned to the pool with an open transaction");
}

/// Waits until a connection of ours has an open transaction. Polls fast, because it is open only for a moment.
async fn begun(pool: &PgPool) {
    let open = "select count(*) > 0 from pg_stat_activity
        where datname = current_database() and application_name = 'windrow-server'
            and state = 'idle in transaction'";
    while !sqlx::query_scalar::<_, bool>(open).fetch_one(pool).await.unwrap() {
        sleep(Duration::from_millis(2)).await;
    }
}
