//! Resume tokens: positions in the feed, opaque to clients.

use sha2::{Digest, Sha256};
use sqlx::types::Uuid;

/// Version of the token's layout.
const VERSION: u8 = 1;
/// Length of the checksum, which detects typos and truncated copies. It is no secret: a forged token shows
/// nothing that its owner could not watch anyway.
const CHECKSUM: usize = 4;

/// A text is not a token of this watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    #[error("is malformed or truncated")]
    Malformed,
    #[error(
        "belongs to a different watch: the run, or the scheduled job and filter, must be the same"
    )]
    OfAnotherWatch,
}

/// Digest of the run or selection that a watch is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Subject([u8; 8]);

impl Subject {
    pub(super) fn of(description: &str) -> Self {
        let digest: [u8; 32] = Sha256::digest(description.as_bytes()).into();
        Self(first(&digest))
    }
}

/// A position in a feed: a revision and 0, or a transaction and an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) epoch: Uuid,
    pub(super) place: (i64, i64),
}

impl Token {
    pub(super) fn write(self, subject: Subject) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend(self.epoch.as_bytes());
        bytes.extend(subject.0);
        bytes.extend(self.place.0.to_be_bytes());
        bytes.extend(self.place.1.to_be_bytes());
        bytes.extend(checksum(&bytes));
        hex::encode(bytes)
    }

    pub(super) fn read(text: &str, subject: Subject) -> Result<Self, InvalidToken> {
        let bytes = hex::decode(text).map_err(|_| InvalidToken::Malformed)?;
        let (epoch, of, place) = parts(&bytes).ok_or(InvalidToken::Malformed)?;
        if of != subject {
            return Err(InvalidToken::OfAnotherWatch);
        }
        Ok(Self { epoch, place })
    }
}

fn parts(bytes: &[u8]) -> Option<(Uuid, Subject, (i64, i64))> {
    let (content, sum) = bytes.split_last_chunk::<CHECKSUM>()?;
    let (version, rest) = content.split_first()?;
    if *version != VERSION || *sum != checksum(content) {
        return None;
    }
    let (epoch, rest) = rest.split_first_chunk::<16>()?;
    let (subject, rest) = rest.split_first_chunk::<8>()?;
    let (first, rest) = rest.split_first_chunk::<8>()?;
    let place = (i64::from_be_bytes(*first), i64::from_be_bytes(rest.try_into().ok()?));
    Some((Uuid::from_bytes(*epoch), Subject(*subject), place))
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM] {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    first(&digest)
}

fn first<const N: usize>(digest: &[u8; 32]) -> [u8; N] {
    digest.first_chunk().copied().unwrap_or([0; N])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_valid_for_its_own_watch_only() {
        let subject = Subject::of("runs status = failed");
        let token = Token { epoch: Uuid::from_u128(7), place: (1 << 40, 12) };
        let text = token.write(subject);
        assert_eq!(Token::read(&text, subject), Ok(token));
        let other = Subject::of("runs status = pending");
        assert_eq!(Token::read(&text, other), Err(InvalidToken::OfAnotherWatch));
    }

    #[test]
    fn truncated_changed_and_invented_tokens_are_malformed() {
        let subject = Subject::of("");
        let text = Token { epoch: Uuid::from_u128(7), place: (3, 4) }.write(subject);
        let mut changed = text.clone();
        changed.replace_range(60..61, if text.get(60..61) == Some("0") { "1" } else { "0" });
        for bad in ["", "zz", "00", "é", text.get(2..).unwrap(), text.get(..80).unwrap(), &changed]
        {
            assert_eq!(Token::read(bad, subject), Err(InvalidToken::Malformed), "{bad}");
        }
    }
}
