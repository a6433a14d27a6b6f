//! Scheduled job ids: kept where they have the form of one, else replaced by one that follows from them.

use sha2::{Digest, Sha256};

use crate::domain::id::{SCHEDULED_JOB_ID_LENGTH, ScheduledJobId};

/// Put before an id that begins like a run's.
const PREFIX: &str = "legacy_";
/// Hex digits of the old id's hash, which keep ids apart that look alike when mended.
const DIGITS: usize = 8;

/// The id under which the old one is known here; always the same for the same old id.
pub(super) fn legal(old: &str) -> Option<ScheduledJobId> {
    if let Ok(id) = ScheduledJobId::parse(old) {
        return Some(id);
    }
    if let Ok(id) = ScheduledJobId::parse(&format!("{PREFIX}{old}")) {
        return Some(id);
    }
    let word = |c: char| {
        let kept = c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
        if kept { c } else { '_' }
    };
    let hash = hex::encode(Sha256::digest(old.as_bytes()));
    let hash: String = hash.chars().take(DIGITS).collect();
    let room = SCHEDULED_JOB_ID_LENGTH - PREFIX.len() - DIGITS - 1;
    let words: String = old.to_lowercase().chars().map(word).take(room).collect();
    ScheduledJobId::parse(&format!("{PREFIX}{words}_{hash}")).ok()
}
