//! Request ids: a repeated call returns the result of the first one.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::AppError;
use crate::store::requests::{self, RequestKey, RequestRow};

/// Identifies one call, so that the caller can retry it safely.
#[derive(Clone, Debug)]
pub struct IdempotencyKey {
    /// The caller. Request ids of different callers are independent.
    pub principal: String,
    pub method: &'static str,
    pub request_id: String,
    /// Hash of the request as sent, without its id.
    pub payload_hash: Vec<u8>,
}

/// The part of a key that is unique: principal, method and request id.
pub(super) type CallId = (String, String, String);

impl IdempotencyKey {
    pub(super) fn as_key(&self) -> RequestKey<'_> {
        let Self { principal, method, request_id, payload_hash } = self;
        RequestKey { principal, method, request_id, payload_hash }
    }

    pub(super) fn call_id(&self) -> CallId {
        (self.principal.clone(), self.method.to_owned(), self.request_id.clone())
    }

    /// The id of the job or run that an earlier call with this key created. Rejects another payload.
    pub(super) async fn find_result(
        &self,
        conn: &mut PgConnection,
    ) -> Result<Option<String>, AppError> {
        let found = find_results(conn, std::slice::from_ref(self)).await?;
        found.into_values().next().transpose()
    }

    /// Stores the id that this call creates. Returns false if a concurrent call was faster.
    pub(super) async fn claim(
        &self,
        conn: &mut PgConnection,
        created_id: &str,
        now: DateTime<Utc>,
    ) -> Result<bool, AppError> {
        let row = RequestRow {
            principal: self.principal.clone(),
            method: self.method.to_owned(),
            request_id: self.request_id.clone(),
            payload_hash: self.payload_hash.clone(),
            made_id: created_id.to_owned(),
            created_at: now,
        };
        Ok(requests::request_insert(conn, &row).await?)
    }
}

/// The ids of what earlier calls with these keys created; an error for a key with another payload.
pub(super) async fn find_results(
    conn: &mut PgConnection,
    keys: &[IdempotencyKey],
) -> Result<BTreeMap<CallId, Result<String, AppError>>, AppError> {
    if keys.is_empty() {
        return Ok(BTreeMap::new());
    }
    let ids: Vec<CallId> = keys.iter().map(IdempotencyKey::call_id).collect();
    let mut earlier: BTreeMap<CallId, _> = BTreeMap::new();
    for found in requests::requests_get(conn, &ids).await? {
        let id = (found.principal, found.method, found.request_id);
        earlier.insert(id, (found.payload_hash, found.made_id));
    }
    let result = |key: &IdempotencyKey| {
        let (payload_hash, made_id) = earlier.remove(&key.call_id())?;
        let is_same = payload_hash == key.payload_hash;
        let reused = || AppError::RequestIdReused(key.request_id.clone());
        Some((key.call_id(), is_same.then_some(made_id).ok_or_else(reused)))
    };
    Ok(keys.iter().filter_map(result).collect())
}
