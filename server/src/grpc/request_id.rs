//! Request ids of calls that create something.

use prost::Message;
use sha2::{Digest, Sha256};

use super::ANONYMOUS;
use crate::app::{AppError, IdempotencyKey};

const MAX_LENGTH: usize = 64;

/// The idempotency key of a call, if it has a request id. `request` is the call without that id.
pub(super) fn idempotency_key(
    method: &'static str,
    request_id: String,
    request: &impl Message,
) -> Result<Option<IdempotencyKey>, AppError> {
    if request_id.is_empty() {
        return Ok(None);
    }
    let printable = request_id.chars().all(|c| c.is_ascii_graphic() || c == ' ');
    if !printable || request_id.len() > MAX_LENGTH {
        let description = format!("must be a UUID or up to {MAX_LENGTH} printable characters");
        return Err(AppError::invalid("request_id", description));
    }
    Ok(Some(IdempotencyKey {
        principal: ANONYMOUS.to_owned(),
        method,
        request_id,
        payload_hash: Sha256::digest(request.encode_to_vec()).to_vec(),
    }))
}
