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

/// Claims request ids; returns the principal, method and request id of those that no earlier call has. Waits for
/// calls in progress.
pub async fn requests_insert(
    conn: &mut PgConnection,
    requests: &[RequestRow],
) -> Result<Vec<(String, String, String)>, StoreError> {
    let column = |of: fn(&RequestRow) -> &String| requests.iter().map(of).cloned().collect();
    let principals: Vec<String> = column(|row| &row.principal);
    let methods: Vec<String> = column(|row| &row.method);
    let request_ids: Vec<String> = column(|row| &row.request_id);
    let made_ids: Vec<String> = column(|row| &row.made_id);
    let hashes: Vec<Vec<u8>> = requests.iter().map(|row| row.payload_hash.clone()).collect();
    let times: Vec<DateTime<Utc>> = requests.iter().map(|row| row.created_at).collect();
    let claimed = sqlx::query!(
        r#"
        insert into request (principal, method, request_id, payload_hash, made_id, created_at)
        select *
        from unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::text[], $6::timestamptz[])
            as n (principal, method, request_id, payload_hash, made_id, created_at)
        -- The same order in every transaction, so that they cannot deadlock.
        order by principal, method, request_id
        on conflict do nothing
        returning principal, method, request_id
        "#,
        &principals,
        &methods,
        &request_ids,
        &hashes,
        &made_ids,
        &times,
    )
    .fetch_all(conn)
    .await?;
    Ok(claimed.into_iter().map(|row| (row.principal, row.method, row.request_id)).collect())
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
