//! Scheduled job ids: valid ones are kept, others are replaced by an id that is derived from them.

use sha2::{Digest, Sha256};

use crate::domain::id::{SCHEDULED_JOB_ID_LENGTH, ScheduledJobId};

/// Prefix for an id that begins like a run id.
const PREFIX: &str = "legacy_";
/// Hex digits of the old id's hash. They keep ids apart that look alike after the replacement.
const HASH_DIGITS: usize = 8;

/// The valid id for an old one; always the same for the same old id.
pub(super) fn valid_id(old: &str) -> Option<ScheduledJobId> {
    if let Ok(id) = ScheduledJobId::parse(old) {
        return Some(id);
    }
    if let Ok(id) = ScheduledJobId::parse(&format!("{PREFIX}{old}")) {
        return Some(id);
    }
    let to_valid = |c: char| {
        let is_valid = c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
        if is_valid { c } else { '_' }
    };
    let hash = hex::encode(Sha256::digest(old.as_bytes()));
    let hash: String = hash.chars().take(HASH_DIGITS).collect();
    let room = SCHEDULED_JOB_ID_LENGTH - PREFIX.len() - HASH_DIGITS - 1;
    let words: String = old.to_lowercase().chars().map(to_valid).take(room).collect();
    ScheduledJobId::parse(&format!("{PREFIX}{words}_{hash}")).ok()
}
