//! Request ids, which make calls idempotent: a repeated call returns the first call's result.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::StoreError;

/// A call that creates something.
#[derive(Clone, Debug)]
pub struct RequestRow {
    pub principal: String,
    pub method: String,
    pub request_id: String,
    /// Hash of the request as sent.
    pub payload_hash: Vec<u8>,
    /// Id of the resource that the call creates.
    pub made_id: String,
    pub created_at: DateTime<Utc>,
}

/// What identifies a call, and the hash of its request as sent.
#[derive(Clone, Copy, Debug)]
pub struct RequestKey<'a> {
    pub principal: &'a str,
    pub method: &'a str,
    pub request_id: &'a str,
    pub payload_hash: &'a [u8],
}

/// Claims a request id; returns false if an earlier call has it. Waits for a call in progress.
pub async fn request_insert(
    conn: &mut PgConnection,
    request: &RequestRow,
) -> Result<bool, StoreError> {
    let claimed = sqlx::query!(
        r#"
        insert into request (principal, method, request_id, payload_hash, made_id, created_at)
        values ($1, $2, $3, $4, $5, $6)
        on conflict do nothing
        "#,
        request.principal,
        request.method,
        request.request_id,
        request.payload_hash,
        request.made_id,
        request.created_at,
    )
    .execute(conn)
    .await?;
    Ok(claimed.rows_affected() > 0)
}

/// The earlier calls with these principals, methods and request ids.
pub async fn requests_get(
    conn: &mut PgConnection,
    ids: &[(String, String, String)],
) -> Result<Vec<RequestRow>, StoreError> {
    let principals: Vec<String> = ids.iter().map(|id| id.0.clone()).collect();
    let methods: Vec<String> = ids.iter().map(|id| id.1.clone()).collect();
    let request_ids: Vec<String> = ids.iter().map(|id| id.2.clone()).collect();
    let found = sqlx::query_as!(
        RequestRow,
        r#"
        select r.principal, r.method, r.request_id, r.payload_hash, r.made_id, r.created_at
        from unnest($1::text[], $2::text[], $3::text[]) as n (principal, method, request_id)
        join request r using (principal, method, request_id)
        "#,
        &principals,
        &methods,
        &request_ids,
    )
    .fetch_all(conn)
    .await?;
    Ok(found)
}

/// Deletes at most `limit` request ids from before `before`; returns their number.
pub async fn requests_prune(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<u64, StoreError> {
    let pruned = sqlx::query!(
        r#"
        delete from request
        where ctid in (select ctid from request where created_at < $1 limit $2)
        "#,
        before,
        limit,
    )
    .execute(conn)
    .await?
    .rows_affected();
    Ok(pruned)
}
