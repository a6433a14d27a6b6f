//! Between JSON and `google.protobuf.Struct`, whose numbers are doubles.

use prost_types::Struct;
use prost_types::value::Kind;
use serde_json::{Map, Value};

/// Larger integers may not be exact as doubles.
const LARGEST_EXACT: u64 = 1 << 53;

/// A JSON object for a response; integers that a double cannot hold become text.
pub(super) fn to_struct(fields: Map<String, Value>) -> Struct {
    let fields = fields.into_iter().map(|(name, value)| (name, to_value(value)));
    Struct { fields: fields.collect() }
}

pub(super) fn to_value(value: Value) -> prost_types::Value {
    use prost_types::value::Kind;
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(is) => Kind::BoolValue(is),
        Value::Number(number) => match exact(&number) {
            Some(number) => Kind::NumberValue(number),
            None => Kind::StringValue(number.to_string()),
        },
        Value::String(text) => Kind::StringValue(text),
        Value::Array(items) => Kind::ListValue(prost_types::ListValue {
            values: items.into_iter().map(to_value).collect(),
        }),
        Value::Object(fields) => Kind::StructValue(to_struct(fields)),
    };
    prost_types::Value { kind: Some(kind) }
}

/// The number as a double, unless it is an integer that a double cannot hold.
fn exact(number: &serde_json::Number) -> Option<f64> {
    let size = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
    if size.is_some_and(|size| size > LARGEST_EXACT) { None } else { number.as_f64() }
}

/// A worker's object; whole numbers become integers. The error is a phrase about it.
pub(super) fn object(fields: Struct) -> Result<Map<String, Value>, String> {
    let field =
        |(name, value): (String, prost_types::Value)| Ok((storable(name)?, from_value(value)?));
    fields.fields.into_iter().map(field).collect()
}

fn from_value(value: prost_types::Value) -> Result<Value, String> {
    Ok(match value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(is)) => Value::Bool(is),
        Some(Kind::NumberValue(number)) => from_number(number)?,
        Some(Kind::StringValue(text)) => Value::String(storable(text)?),
        Some(Kind::ListValue(list)) => {
            Value::Array(list.values.into_iter().map(from_value).collect::<Result<_, _>>()?)
        }
        Some(Kind::StructValue(fields)) => Value::Object(object(fields)?),
    })
}

fn from_number(number: f64) -> Result<Value, String> {
    let exact = number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0;
    // Its text has no fraction then, and fits.
    if let Some(Ok(whole)) = exact.then(|| format!("{number:.0}").parse::<i64>()) {
        return Ok(Value::from(whole));
    }
    let number = serde_json::Number::from_f64(number);
    number.map(Value::Number).ok_or_else(|| "holds a number that is not finite".to_owned())
}

fn storable(text: String) -> Result<String, String> {
    if text.contains('\0') {
        return Err("holds U+0000, which cannot be stored".to_owned());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_that_a_double_cannot_hold_are_text() {
        let check = |value: Value, expected: Kind| assert_eq!(to_value(value).kind, Some(expected));
        check(json!(1.5), Kind::NumberValue(1.5));
        check(json!(-9_007_199_254_740_992_i64), Kind::NumberValue(-9_007_199_254_740_992.0));
        check(json!(9_007_199_254_740_993_u64), Kind::StringValue("9007199254740993".to_owned()));
        check(json!(-9_007_199_254_740_993_i64), Kind::StringValue("-9007199254740993".to_owned()));
    }

    #[test]
    fn an_object_survives_the_way_to_and_fro() {
        let value =
            json!({ "price": 250_000, "lot": 0.25, "sold": null, "tags": ["a", { "b": true }] });
        let Value::Object(fields) = value else { panic!("not an object") };
        assert_eq!(object(to_struct(fields.clone())), Ok(fields));
    }

    #[test]
    fn what_cannot_be_stored_is_refused() {
        let refused = |kind| {
            let value = prost_types::Value { kind: Some(kind) };
            object(Struct { fields: [("x".to_owned(), value)].into() }).is_err()
        };
        assert!(refused(Kind::NumberValue(f64::NAN)));
        assert!(refused(Kind::StringValue("\0".to_owned())));
    }
}
