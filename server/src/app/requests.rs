//! Request ids: a repeated call returns the result of the first one.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::AppError;
use crate::store::requests::{self, RequestRow};

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

impl IdempotencyKey {
    /// The id of the job or run that an earlier call with this key created. Rejects another payload.
    pub(super) async fn find_result(
        &self,
        conn: &mut PgConnection,
    ) -> Result<Option<String>, AppError> {
        let earlier =
            requests::request_get(conn, &self.principal, self.method, &self.request_id).await?;
        match earlier {
            Some(earlier) if earlier.payload_hash != self.payload_hash => {
                Err(AppError::RequestIdReused(self.request_id.clone()))
            }
            Some(earlier) => Ok(Some(earlier.made_id)),
            None => Ok(None),
        }
    }

    /// Stores the id that this call creates. Returns false if a concurrent call was faster.
    pub(super) async fn claim(
        &self,
        conn: &mut PgConnection,
        created_id: &str,
        now: DateTime<Utc>,
    ) -> Result<bool, AppError> {
        let row = RequestRow {
            principal: &self.principal,
            method: self.method,
            request_id: &self.request_id,
            payload_hash: &self.payload_hash,
            made_id: created_id,
        };
        Ok(requests::request_insert(conn, &row, now).await?)
    }
}
