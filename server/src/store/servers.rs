//! Servers that were seen recently, with their limits of sources.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::StoreError;

/// The maximum number of concurrent runs of each source that a server knows; `None` is no limit.
pub type SourceLimits = BTreeMap<String, Option<i64>>;

/// Records a server with its limits.
pub async fn server_seen(
    conn: &mut PgConnection,
    server: &str,
    limits: &SourceLimits,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        insert into server (server, source_limits, seen_at)
        values ($1, $2, $3)
        on conflict (server) do update
        set source_limits = excluded.source_limits, seen_at = excluded.seen_at
        "#,
        server,
        Json(limits) as _,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The limits of servers that were seen since a time, by server.
pub async fn servers_limits(
    conn: &mut PgConnection,
    since: DateTime<Utc>,
) -> Result<BTreeMap<String, SourceLimits>, StoreError> {
    let rows = sqlx::query!(
        r#"
        select server, source_limits as "source_limits: Json<SourceLimits>"
        from server
        where seen_at >= $1
        "#,
        since,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.server, row.source_limits.0)).collect())
}

pub async fn server_delete(conn: &mut PgConnection, server: &str) -> Result<(), StoreError> {
    sqlx::query!("delete from server where server = $1", server).execute(conn).await?;
    Ok(())
}

/// Deletes servers that were not seen since a time; returns their number.
pub async fn servers_prune(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let pruned =
        sqlx::query!("delete from server where seen_at < $1", before).execute(conn).await?;
    Ok(pruned.rows_affected())
}
