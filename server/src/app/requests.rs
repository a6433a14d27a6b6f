//! Request ids: a repeated call gets what the first one made.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::AppError;
use crate::store::requests::{self, RequestRow};

/// A caller's id for one call, with what the call was.
#[derive(Clone, Debug)]
pub struct IdempotencyKey {
    pub principal: String,
    pub method: &'static str,
    pub request_id: String,
    /// Hash of the request as sent, without its id.
    pub payload_hash: Vec<u8>,
}

impl IdempotencyKey {
    /// What an earlier call with this id made. Refuses another payload under the same id.
    pub(super) async fn find_idempotent_result(
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

    /// Claims the id for what this call makes; false when another call was faster.
    pub(super) async fn claim(
        &self,
        conn: &mut PgConnection,
        made_id: &str,
        now: DateTime<Utc>,
    ) -> Result<bool, AppError> {
        let row = RequestRow {
            principal: &self.principal,
            method: self.method,
            request_id: &self.request_id,
            payload_hash: &self.payload_hash,
            made_id,
        };
        Ok(requests::request_insert(conn, &row, now).await?)
    }
}
