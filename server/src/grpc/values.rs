//! The body of a property that a worker sent, checked against what Postgres can store.

use prost_types::Struct;
use serde_json::{Map, Value};

/// Converts a body. The error is a phrase about it.
pub(super) fn body(fields: Struct) -> Result<Map<String, Value>, String> {
    let body = windrow::json::from_struct(fields).map_err(|error| error.to_string())?;
    if body.iter().all(is_field_storable) {
        Ok(body)
    } else {
        Err("contains U+0000, which cannot be stored".to_owned())
    }
}

fn is_field_storable((name, value): (&String, &Value)) -> bool {
    is_storable(name) && is_value_storable(value)
}

fn is_value_storable(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
        Value::String(text) => is_storable(text),
        Value::Array(items) => items.iter().all(is_value_storable),
        Value::Object(fields) => fields.iter().all(is_field_storable),
    }
}

fn is_storable(text: &str) -> bool {
    !text.contains('\0')
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use windrow::json::to_struct;

    use super::*;

    #[test]
    fn a_body_that_cannot_be_stored_is_rejected() {
        let check = |value: Value, is_accepted: bool| {
            let Value::Object(fields) = value else { panic!("not an object") };
            assert_eq!(body(to_struct(fields.clone())).is_ok(), is_accepted, "{fields:?}");
        };
        check(json!({ "a": ["b", { "c": 1 }] }), true);
        check(json!({ "a": "\0" }), false);
        check(json!({ "\0": 1 }), false);
        check(json!({ "a": [{ "b": "\0" }] }), false);
        check(json!({ "a": { "\0": 1 } }), false);
    }
}
