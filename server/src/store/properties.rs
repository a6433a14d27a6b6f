//! Properties: what was found, and which run has read it.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;

use super::StoreError;
use crate::domain::id::RunId;

/// One property of a batch.
#[derive(Clone, Debug)]
pub struct PropertyRow {
    /// The source's id of it.
    pub property_id: String,
    /// Hash of what it says.
    pub content_hash: Vec<u8>,
    /// What it says.
    pub body: Value,
}

/// Marks properties as read by the run, and returns the ids that it had not read before.
pub async fn run_properties_insert(
    conn: &mut PgConnection,
    run: &RunId,
    property_ids: &[String],
) -> Result<Vec<String>, StoreError> {
    let new = sqlx::query_scalar!(
        r#"
        insert into run_property (job_id, property_id)
        select $1, n.property_id
        from unnest($2::text[]) as n (property_id)
        on conflict do nothing
        returning property_id
        "#,
        run.as_str(),
        property_ids,
    )
    .fetch_all(conn)
    .await?;
    Ok(new)
}

/// Inserts or updates properties and returns how many were new or different. `rows` are sorted by id,
/// which keeps two runs that write the same properties from waiting for each other in a circle.
pub async fn properties_upsert(
    conn: &mut PgConnection,
    source: &str,
    run: &RunId,
    rows: &[PropertyRow],
    now: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let ids: Vec<String> = rows.iter().map(|row| row.property_id.clone()).collect();
    let hashes: Vec<Vec<u8>> = rows.iter().map(|row| row.content_hash.clone()).collect();
    let bodies: Vec<Value> = rows.iter().map(|row| row.body.clone()).collect();
    let saved = sqlx::query!(
        r#"
        insert into property (
            source, property_id, content_hash, body, created_at, updated_at, job_id
        )
        select $1, n.property_id, n.content_hash, n.body, $6, $6, $2
        from unnest($3::text[], $4::bytea[], $5::jsonb[]) as n (property_id, content_hash, body)
        on conflict (source, property_id) do update
        set
            content_hash = excluded.content_hash,
            body = excluded.body,
            updated_at = excluded.updated_at,
            job_id = excluded.job_id
        where property.content_hash <> excluded.content_hash
        "#,
        source,
        run.as_str(),
        &ids,
        &hashes,
        &bodies,
        now,
    )
    .execute(conn)
    .await?
    .rows_affected();
    Ok(saved)
}
