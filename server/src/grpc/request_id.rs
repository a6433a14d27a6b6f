//! Request ids, as they come with creating calls.

use prost::Message;
use sha2::{Digest, Sha256};

use super::ANONYMOUS;
use crate::app::{AppError, IdempotencyKey};

const LENGTH: usize = 64;

/// The key of a call, if it has a request id. `request` is the call as sent, without that id.
pub(super) fn request_key(
    method: &'static str,
    request_id: String,
    request: &impl Message,
) -> Result<Option<IdempotencyKey>, AppError> {
    if request_id.is_empty() {
        return Ok(None);
    }
    let printable = request_id.chars().all(|c| c.is_ascii_graphic() || c == ' ');
    if !printable || request_id.len() > LENGTH {
        let description = format!("must be a UUID or have up to {LENGTH} printable characters");
        return Err(AppError::invalid("request_id", description));
    }
    Ok(Some(IdempotencyKey {
        principal: ANONYMOUS.to_owned(),
        method,
        request_id,
        payload_hash: Sha256::digest(request.encode_to_vec()).to_vec(),
    }))
}
