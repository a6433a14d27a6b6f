//! A property: one listing that a source found.

use serde_json::{Map, Value};

/// Longest id of a property, in characters.
pub const PROPERTY_ID_LENGTH: usize = 200;
/// Bytes of a value without its text.
const VALUE_SIZE: usize = 16;

/// A listing: the source's id of it and all its other fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Property {
    /// The source's id, 1 to 200 characters. Later runs recognize the property by it.
    pub id: String,
    /// All other fields as JSON. No text may contain U+0000, which Postgres cannot store.
    pub body: Map<String, Value>,
}

impl Property {
    /// A property from its id and its other fields.
    pub fn new(id: impl Into<String>, body: Map<String, Value>) -> Self {
        Self { id: id.into(), body }
    }

    /// Bytes of its texts and names, and 16 for each value: about the memory that it takes.
    pub(crate) fn size(&self) -> usize {
        self.id.len() + size_of_fields(&self.body)
    }

    /// Checks that the server can store the property. [`Task::push`](crate::Task::push) does so, too.
    pub fn check(&self) -> Result<(), InvalidProperty> {
        check_property_id(&self.id)?;
        if body_has_nul(&self.body) { Err(InvalidProperty::Nul) } else { Ok(()) }
    }
}

/// Checks the id of a property.
pub fn check_property_id(id: &str) -> Result<(), InvalidProperty> {
    if id.contains('\0') {
        return Err(InvalidProperty::Nul);
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
    #[error("property_id must have 1 to {PROPERTY_ID_LENGTH} characters")]
    IdLength,
    /// A text contains U+0000.
    #[error("contains U+0000, which cannot be stored")]
    Nul,
}

fn size_of_fields(body: &Map<String, Value>) -> usize {
    body.iter().map(|(name, value)| name.len() + size_of(value)).sum()
}

fn size_of(value: &Value) -> usize {
    let content = match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(size_of).sum(),
        Value::Object(body) => size_of_fields(body),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    VALUE_SIZE + content
}

fn body_has_nul(body: &Map<String, Value>) -> bool {
    body.iter().any(|(name, value)| name.contains('\0') || value_has_nul(value))
}

/// Recurses as deep as the value; `serde_json` parses at most 128 levels.
fn value_has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(value_has_nul),
        Value::Object(body) => body_has_nul(body),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_property_that_cannot_be_stored_is_rejected() {
        let check = |id: &str, value: Value, expected: Result<(), InvalidProperty>| {
            let body = Map::from_iter([("field".to_owned(), value)]);
            assert_eq!(Property::new(id, body).check(), expected, "{id}");
        };
        check("a", json!(1), Ok(()));
        check(&"ä".repeat(200), json!(1), Ok(()));
        check(&"ä".repeat(201), json!(1), Err(InvalidProperty::IdLength));
        check("", json!(1), Err(InvalidProperty::IdLength));
        check("a\0", json!(1), Err(InvalidProperty::Nul));
        check("a", json!([{ "deep": "\0" }]), Err(InvalidProperty::Nul));
    }

    #[test]
    fn the_size_counts_nested_values() {
        let body = Map::from_iter([("ab".to_owned(), json!([1, 2, { "cde": "four" }]))]);
        assert_eq!(Property::new("x", body).size(), 1 + 2 + 5 * 16 + 3 + 4);
    }
}
