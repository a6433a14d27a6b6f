//! Notifications between servers: hints that events were committed. They name only their sender.

use sqlx::PgPool;
use sqlx::postgres::PgListener;
use sqlx::types::Uuid;

use super::StoreError;

const CHANNEL: &str = "windrow_events";

/// Starts listening, on a connection outside the pool.
pub async fn listen(pool: &PgPool) -> Result<PgListener, StoreError> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    Ok(listener)
}

/// Notifies every listening server. Never called inside a writing transaction: its commit would then take a
/// lock for the whole cluster.
pub async fn notify(pool: &PgPool, sender: Uuid) -> Result<(), StoreError> {
    let sender = sender.to_string();
    sqlx::query!(r#"select pg_notify($1, $2) is null as "done!""#, CHANNEL, sender)
        .fetch_one(pool)
        .await?;
    Ok(())
}
