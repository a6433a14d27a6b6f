//! A property: one listing that a source found.

use serde_json::{Map, Value};

use crate::body::{BODY_BYTES, BODY_DEPTH, normalize};

/// Longest id of a property, in characters.
pub const PROPERTY_ID_LENGTH: usize = 200;

/// A listing: the source's id of it and all its other fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Property {
    /// The source's id, 1 to 200 characters. Later runs recognize the property by it.
    pub id: String,
    /// All other fields as JSON, at most 1 MiB and nested at most 30 levels deep. No text may contain U+0000, which
    /// Postgres cannot store.
    pub body: Map<String, Value>,
}

impl Property {
    /// A property from its id and its other fields.
    pub fn new(id: impl Into<String>, body: Map<String, Value>) -> Self {
        Self { id: id.into(), body }
    }

    /// Checks that the server can store the property, and brings its numbers into the form in which they are stored: a
    /// whole number is an integer, and an integer beyond 2^53 a text of its digits. Returns its size in bytes.
    /// [`Task::push`](crate::Task::push) does so, too.
    pub fn normalize(&mut self) -> Result<usize, InvalidProperty> {
        check_property_id(&self.id)?;
        Ok(normalize(&mut self.body)? + self.id.len())
    }
}

/// Checks the id of a property.
fn check_property_id(id: &str) -> Result<(), InvalidProperty> {
    if id.contains('\0') {
        return Err(InvalidProperty::NulInId);
    }
    // Bytes first: no need to count the characters of a long text.
    if id.is_empty() || id.len() > PROPERTY_ID_LENGTH && id.chars().count() > PROPERTY_ID_LENGTH {
        return Err(InvalidProperty::IdLength);
    }
    Ok(())
}

/// A property that the server would reject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProperty {
    /// The id is empty or too long.
    #[error("must have 1 to {PROPERTY_ID_LENGTH} characters")]
    IdLength,
    /// The id contains U+0000.
    #[error("contains U+0000, which cannot be stored")]
    NulInId,
    /// A text of the body contains U+0000.
    #[error("contains U+0000, which cannot be stored")]
    Nul,
    /// Objects and lists are nested too deeply.
    #[error("is nested deeper than {BODY_DEPTH} levels")]
    TooDeep,
    /// The body is too large.
    #[error(
        "is larger than {BODY_BYTES} bytes; a value counts up to 20 bytes in addition to its text"
    )]
    TooLarge,
}

impl InvalidProperty {
    /// The invalid part of the property: `property_id` or `body`.
    pub fn field(self) -> &'static str {
        match self {
            Self::IdLength | Self::NulInId => "property_id",
            Self::Nul | Self::TooDeep | Self::TooLarge => "body",
        }
    }

    /// The error as a sentence about the property with this id.
    pub fn about(self, id: &str) -> String {
        match self {
            Self::IdLength | Self::NulInId => format!("property_id {self}"),
            Self::Nul | Self::TooDeep | Self::TooLarge => format!("property '{id}' {self}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_property_that_cannot_be_stored_is_rejected() {
        let check = |id: &str, value: Value, expected: Option<InvalidProperty>| {
            let body = Map::from_iter([("field".to_owned(), value)]);
            assert_eq!(Property::new(id, body).normalize().err(), expected, "{id}");
        };
        check("a", json!(1), None);
        check(&"ä".repeat(200), json!(1), None);
        check(&"ä".repeat(201), json!(1), Some(InvalidProperty::IdLength));
        check("", json!(1), Some(InvalidProperty::IdLength));
        check("a\0", json!(1), Some(InvalidProperty::NulInId));
        check("a", json!([{ "deep": "\0" }]), Some(InvalidProperty::Nul));
    }
}
