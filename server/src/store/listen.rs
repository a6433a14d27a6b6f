//! Notifications between servers: hints that events were committed. They name only their sender.

use sqlx::PgConnection;
use sqlx::postgres::PgListener;
use sqlx::types::Uuid;

use super::{Pool, StoreError};

const CHANNEL: &str = "windrow_events";

/// Starts listening, on a connection outside the pool. `None` if the database allows too few connections.
pub async fn listen(pool: &Pool) -> Result<Option<PgListener>, StoreError> {
    let Some(pool) = pool.of_listener() else { return Ok(None) };
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    Ok(Some(listener))
}

/// Notifies every listening server. Never called inside a writing transaction: its commit would then take a
/// lock for the whole cluster.
pub async fn notify(conn: &mut PgConnection, sender: Uuid) -> Result<(), StoreError> {
    let sender = sender.to_string();
    sqlx::query!(r#"select pg_notify($1, $2) is null as "done!""#, CHANNEL, sender)
        .fetch_one(conn)
        .await?;
    Ok(())
}
