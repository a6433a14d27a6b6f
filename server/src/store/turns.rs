//! The last turn of each queue, for fairness between scheduled jobs.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::StoreError;

/// Records that these queues have had their turns.
pub async fn turns_write(
    conn: &mut PgConnection,
    queues: &BTreeSet<String>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let queues: Vec<&str> = queues.iter().map(String::as_str).collect();
    sqlx::query!(
        r#"
        insert into turn (queue, had_at)
        select queue, $2 from unnest($1::text[]) as n (queue)
        on conflict (queue) do update set had_at = excluded.had_at
        "#,
        &queues as _,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

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
