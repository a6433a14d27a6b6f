//! Request ids, which make calls idempotent: a repeated call returns the first call's result.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::StoreError;

/// A call that creates something.
#[derive(Clone, Debug)]
pub struct RequestRow<'a> {
    pub principal: &'a str,
    pub method: &'a str,
    pub request_id: &'a str,
    /// Hash of the request as sent.
    pub payload_hash: &'a [u8],
    /// Id of the resource that the call creates.
    pub made_id: &'a str,
}

/// An earlier call with the same request id.
#[derive(Clone, Debug)]
pub struct EarlierRequest {
    /// Hash of the earlier request.
    pub payload_hash: Vec<u8>,
    pub made_id: String,
}

/// Claims the request id; returns false if an earlier call has it. Waits for a call in progress.
pub async fn request_insert(
    conn: &mut PgConnection,
    request: &RequestRow<'_>,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let inserted = sqlx::query!(
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
        now,
    )
    .execute(conn)
    .await?
    .rows_affected();
    Ok(inserted == 1)
}

/// The earlier call with this request id.
pub async fn request_get(
    conn: &mut PgConnection,
    principal: &str,
    method: &str,
    request_id: &str,
) -> Result<Option<EarlierRequest>, StoreError> {
    let found = sqlx::query_as!(
        EarlierRequest,
        r#"
        select payload_hash, made_id
        from request
        where principal = $1
            and method = $2
            and request_id = $3
        "#,
        principal,
        method,
        request_id,
    )
    .fetch_optional(conn)
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
