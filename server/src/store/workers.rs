//! Workers that sent a request recently.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::StoreError;

/// Records that workers ask for runs of these sources, each only if its sources changed or its last record is older
/// than `unless_since`.
pub async fn workers_seen(
    conn: &mut PgConnection,
    workers: &BTreeMap<&str, &BTreeSet<String>>,
    now: DateTime<Utc>,
    unless_since: DateTime<Utc>,
) -> Result<(), StoreError> {
    let ids: Vec<&str> = workers.keys().copied().collect();
    // Lines, because the rows of an array of arrays have the same length.
    let lines = |sources: &&BTreeSet<String>| {
        sources.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    };
    let sources: Vec<String> = workers.values().map(lines).collect();
    sqlx::query!(
        r#"
        insert into worker (worker_id, sources, seen_at)
        select n.worker_id, string_to_array(n.sources, chr(10)), $3
        from unnest($1::text[], $2::text[]) as n (worker_id, sources)
        -- Not a condition of the update: that locks the row, and so commits something each time.
        where not exists (
            select
            from worker w
            where w.worker_id = n.worker_id
                and w.sources = string_to_array(n.sources, chr(10))
                and w.seen_at >= $4
        )
        -- The same order in every transaction, so that they cannot deadlock.
        order by n.worker_id
        on conflict (worker_id) do update
        set sources = excluded.sources, seen_at = excluded.seen_at
        "#,
        &ids as _,
        &sources,
        now,
        unless_since,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Records heartbeats of known workers whose last record is older than `unless_since`; returns their ids.
pub async fn workers_alive(
    conn: &mut PgConnection,
    worker_ids: &[&str],
    now: DateTime<Utc>,
    unless_since: DateTime<Utc>,
) -> Result<BTreeSet<String>, StoreError> {
    let seen = sqlx::query_scalar!(
        r#"
        update worker
        set seen_at = $2
        where worker_id = any(array(
            select worker_id
            from worker
            where worker_id = any($1)
                and seen_at < $3
            order by worker_id
            -- A locked one is being recorded by another call, or deleted.
            for update skip locked
        ))
        returning worker_id
        "#,
        worker_ids as _,
        now,
        unless_since,
    )
    .fetch_all(conn)
    .await?;
    Ok(seen.into_iter().collect())
}

pub async fn worker_delete(conn: &mut PgConnection, worker_id: &str) -> Result<(), StoreError> {
    sqlx::query!("delete from worker where worker_id = $1", worker_id).execute(conn).await?;
    Ok(())
}

/// Deletes those of the workers that were not seen since a time.
pub async fn workers_delete_silent(
    conn: &mut PgConnection,
    worker_ids: &[String],
    since: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        delete from worker
        where worker_id = any(array(
            select worker_id
            from worker
            where worker_id = any($1)
                and seen_at < $2
            order by worker_id
            for update skip locked
        ))
        "#,
        worker_ids,
        since,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Sources served by workers that were seen since a time.
pub async fn sources_served(
    conn: &mut PgConnection,
    since: DateTime<Utc>,
) -> Result<BTreeSet<String>, StoreError> {
    let served = sqlx::query_scalar!(
        r#"select distinct unnest(sources) as "source!" from worker where seen_at >= $1"#,
        since,
    )
    .fetch_all(conn)
    .await?;
    Ok(served.into_iter().collect())
}

/// Deletes workers that were not seen since a time; returns their number.
pub async fn workers_prune(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let pruned =
        sqlx::query!("delete from worker where seen_at < $1", before).execute(conn).await?;
    Ok(pruned.rows_affected())
}
