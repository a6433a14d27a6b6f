//! Pages: sizes, and tokens that hold where a page begins and which list they belong to.

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use crate::app::AppError;

/// Without a size (AIP-158 leaves it to the service).
const DEFAULT_SIZE: i64 = 50;
/// Larger sizes are lowered to this.
const LARGEST_SIZE: i64 = 1_000;
/// Bytes of the list's fingerprint in a token.
const FINGERPRINT: usize = 8;

/// How many entries a page has. `field` names the request's field.
pub(super) fn size(field: &str, wanted: i32) -> Result<i64, AppError> {
    match i64::from(wanted) {
        ..0 => Err(AppError::invalid(field, "must not be negative")),
        0 => Ok(DEFAULT_SIZE),
        size => Ok(size.min(LARGEST_SIZE)),
    }
}

/// The token of the page that begins after `position`, in the list that `list` describes.
pub(super) fn token(list: &str, position: &str) -> String {
    let mut bytes = fingerprint(list);
    bytes.extend_from_slice(position.as_bytes());
    hex::encode(bytes)
}

/// The position in a token; `None` for the first page. Refuses the token of another list.
pub(super) fn position(list: &str, token: &str) -> Result<Option<String>, AppError> {
    if token.is_empty() {
        return Ok(None);
    }
    let bytes = hex::decode(token).map_err(|_| foreign())?;
    let Some((of, position)) = bytes.split_at_checked(FINGERPRINT) else { return Err(foreign()) };
    if of != fingerprint(list) {
        return Err(foreign());
    }
    String::from_utf8(position.to_vec()).map(Some).map_err(|_| foreign())
}

/// The instant that a position holds in microseconds.
pub(super) fn instant(position: &str) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_micros(position.parse().ok()?)
}

/// The refusal of a token that was not made for this list.
pub(super) fn foreign() -> AppError {
    AppError::invalid("page_token", "is not a token of this list with these filters")
}

fn fingerprint(list: &str) -> Vec<u8> {
    Sha256::digest(list.as_bytes()).iter().copied().take(FINGERPRINT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_own_list_only() {
        let token = token("runs of a", "7 x");
        assert_eq!(position("runs of a", &token).unwrap().as_deref(), Some("7 x"));
        assert_eq!(position("runs of a", "").unwrap(), None);
        for bad in [token.as_str(), "zz", "00", "é"] {
            assert!(position("runs of b", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_have_a_default_and_a_limit() {
        assert_eq!(size("page_size", 0).unwrap(), 50);
        assert_eq!(size("page_size", 7).unwrap(), 7);
        assert_eq!(size("page_size", i32::MAX).unwrap(), 1_000);
        assert!(size("page_size", -1).is_err());
    }
}
