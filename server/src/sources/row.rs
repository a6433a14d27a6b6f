//! One listing from whatever JSON object a source gave, checked so that it can be stored.

use serde_json::{Map, Value};

use super::ScrapedRow;

const PROPERTY_ID_MAX: usize = 200;

/// A row whose id is the field `key`; the error is a phrase about it.
pub(super) fn row(mut body: Map<String, Value>, key: &str) -> Result<ScrapedRow, String> {
    if body_has_nul(&body) {
        return Err("holds U+0000, which cannot be stored".to_owned());
    }
    let property_id = match body.remove(key) {
        Some(Value::String(id)) => id,
        Some(_) => return Err(format!("{key} must be a string")),
        None => return Err(format!("{key} is missing")),
    };
    if property_id.is_empty() || property_id.chars().count() > PROPERTY_ID_MAX {
        return Err(format!("{key} must have 1 to {PROPERTY_ID_MAX} characters"));
    }
    Ok(ScrapedRow { property_id, body })
}

fn body_has_nul(body: &Map<String, Value>) -> bool {
    body.iter().any(|(name, value)| name.contains('\0') || value_has_nul(value))
}

/// Recurses no deeper than the parser allows (128 levels).
fn value_has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(value_has_nul),
        Value::Object(body) => body_has_nul(body),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
