//! Pages: their sizes, and the tokens that say where the next page begins.
//!
//! A token contains a fingerprint of the list (method, filters) and the position of the last entry. A token of
//! another list is rejected, because its position has no meaning there.

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use crate::app::AppError;
use crate::domain::id::{RunId, ScheduledJobId};
use crate::domain::time;

/// Size of a page if the request does not set one; AIP-158 leaves the choice to the service.
const DEFAULT_SIZE: i64 = 50;
/// Larger sizes are lowered to this.
const MAX_SIZE: i64 = 1_000;
/// Bytes of the list's fingerprint in a token.
const FINGERPRINT: usize = 8;
/// Separates the source and the property id in a position; neither can contain it.
const SEPARATOR: char = '\0';

/// The number of entries on a page. `field` is the path of the request's field.
pub(super) fn size(field: &str, requested: i32) -> Result<i64, AppError> {
    match i64::from(requested) {
        ..0 => Err(AppError::invalid(field, "must not be negative")),
        0 => Ok(DEFAULT_SIZE),
        size => Ok(size.min(MAX_SIZE)),
    }
}

/// The key of a list's entry, as a token holds it.
pub(super) trait Position: Sized {
    fn encode(&self) -> String;
    fn decode(text: &str) -> Option<Self>;
}

/// Makes and reads the page tokens of one list.
pub(super) struct PageTokens {
    fingerprint: Vec<u8>,
}

impl PageTokens {
    /// `list` describes the method and everything that selects entries.
    pub(super) fn new(list: &str) -> Self {
        let digest = Sha256::digest(list.as_bytes());
        Self { fingerprint: digest.iter().copied().take(FINGERPRINT).collect() }
    }

    /// The position in a token; `None` for the first page.
    pub(super) fn read<P: Position>(&self, token: &str) -> Result<Option<P>, AppError> {
        if token.is_empty() {
            return Ok(None);
        }
        let position = self.decode(token);
        let invalid =
            || AppError::invalid("page_token", "is not a token of this list with these filters");
        position.map(Some).ok_or_else(invalid)
    }

    /// The token of the page after `position`; empty if there is none.
    pub(super) fn next<P: Position>(&self, position: Option<P>) -> String {
        let Some(position) = position else { return String::new() };
        let mut bytes = self.fingerprint.clone();
        bytes.extend_from_slice(position.encode().as_bytes());
        hex::encode(bytes)
    }

    fn decode<P: Position>(&self, token: &str) -> Option<P> {
        let bytes = hex::decode(token).ok()?;
        let position = bytes.strip_prefix(self.fingerprint.as_slice())?;
        P::decode(str::from_utf8(position).ok()?)
    }
}

/// The number of a log line.
impl Position for i64 {
    fn encode(&self) -> String {
        self.to_string()
    }

    fn decode(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Position for ScheduledJobId {
    fn encode(&self) -> String {
        self.to_string()
    }

    fn decode(text: &str) -> Option<Self> {
        Self::parse(text).ok()
    }
}

/// A tick, in the microseconds that Postgres stores.
impl Position for DateTime<Utc> {
    fn encode(&self) -> String {
        self.timestamp_micros().to_string()
    }

    fn decode(text: &str) -> Option<Self> {
        time::stored(Self::from_timestamp_micros(text.parse().ok()?)?)
    }
}

/// Creation and id of a run.
impl Position for (DateTime<Utc>, RunId) {
    fn encode(&self) -> String {
        format!("{} {}", self.0.encode(), self.1)
    }

    fn decode(text: &str) -> Option<Self> {
        let (created_at, id) = text.split_once(' ')?;
        Some((DateTime::decode(created_at)?, RunId::parse(id).ok()?))
    }
}

/// Source and id of a property.
impl Position for (String, String) {
    fn encode(&self) -> String {
        format!("{}{SEPARATOR}{}", self.0, self.1)
    }

    fn decode(text: &str) -> Option<Self> {
        let (source, id) = text.split_once(SEPARATOR)?;
        (!id.contains(SEPARATOR)).then(|| (source.to_owned(), id.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use super::*;

    #[test]
    fn a_position_survives_its_token() {
        fn check<P: Position + PartialEq + Debug + Clone>(position: P) {
            let tokens = PageTokens::new("list");
            let token = tokens.next(Some(position.clone()));
            assert_eq!(tokens.read::<P>(&token).unwrap(), Some(position));
        }
        let created_at = DateTime::from_timestamp_micros(1_700_000_000_123_456).unwrap();
        check(7);
        check(created_at);
        check(ScheduledJobId::parse("job").unwrap());
        check((created_at, RunId::parse("immediate_1700000000_0123456789ab").unwrap()));
        check(("a source".to_owned(), "id with spaces".to_owned()));
    }

    #[test]
    fn a_token_is_only_valid_for_its_own_list() {
        let token = PageTokens::new("runs of a").next(Some(7));
        assert_eq!(PageTokens::new("runs of a").read(&token).unwrap(), Some(7));
        for invalid in [token.as_str(), "zz", "00", "é"] {
            assert!(PageTokens::new("runs of b").read::<i64>(invalid).is_err(), "{invalid}");
        }
    }

    #[test]
    fn a_position_that_postgres_cannot_hold_is_not_a_token() {
        let tokens = PageTokens::new("list");
        let far = DateTime::<Utc>::MAX_UTC;
        assert!(tokens.read::<DateTime<Utc>>(&tokens.next(Some(far))).is_err());
        let nul = ("source".to_owned(), "a\0b".to_owned());
        assert!(tokens.read::<(String, String)>(&tokens.next(Some(nul))).is_err());
    }

    #[test]
    fn the_first_page_needs_no_token_and_the_last_page_has_none() {
        let tokens = PageTokens::new("list");
        assert_eq!(tokens.read::<i64>("").unwrap(), None);
        assert_eq!(tokens.next(None::<i64>), "");
    }

    #[test]
    fn sizes_have_a_default_and_a_limit() {
        assert_eq!(size("page_size", 0).unwrap(), 50);
        assert_eq!(size("page_size", 7).unwrap(), 7);
        assert_eq!(size("page_size", i32::MAX).unwrap(), 1_000);
        assert!(size("page_size", -1).is_err());
    }
}
