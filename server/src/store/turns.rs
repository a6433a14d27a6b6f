//! The last turn of each queue, for fairness between scheduled jobs. Recorded when its runs are locked for leases.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::StoreError;

/// Deletes at most `limit` turns before a time; returns their number.
pub async fn turns_prune(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<u64, StoreError> {
    let pruned = sqlx::query!(
        r#"
        delete from turn
        where queue in (select queue from turn where had_at < $1 limit $2)
        "#,
        before,
        limit,
    )
    .execute(conn)
    .await?;
    Ok(pruned.rows_affected())
}
