//! Notifications between servers: hints, without content, that events were committed.

use sqlx::PgPool;
use sqlx::postgres::PgListener;

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
pub async fn notify(pool: &PgPool) -> Result<(), StoreError> {
    sqlx::query!(r#"select pg_notify($1, '') is null as "done!""#, CHANNEL).fetch_one(pool).await?;
    Ok(())
}
