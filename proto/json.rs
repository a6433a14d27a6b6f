//! Conversion between JSON and `google.protobuf.Struct`, the type of a property's body.
//!
//! **Exactness.** The only numbers of a `Struct` are doubles, which represent every integer up to 2^53 in
//! magnitude, and some beyond. An integer that a double cannot represent travels as a string of its digits, so that
//! no digit is lost. In the other direction, a double without a fraction and up to 2^53 becomes an integer.
//!
//! This is part of the contract: both ends have to follow the same rule.

use std::fmt::{self, Display, Formatter};

use prost_types::value::Kind;
use prost_types::{ListValue, Struct};
use serde_json::{Map, Number, Value};

/// Every integer up to this magnitude has an exact double: 2^53.
const LARGEST_EXACT: u64 = 1 << 53;

/// A number is infinite or NaN, for which JSON has no notation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotFinite;

impl Display for NotFinite {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("contains a number that is not finite")
    }
}

impl std::error::Error for NotFinite {}

/// Converts a JSON object.
pub fn to_struct(fields: Map<String, Value>) -> Struct {
    Struct { fields: fields.into_iter().map(|(name, value)| (name, to_value(value))).collect() }
}

/// Converts a JSON value.
pub fn to_value(value: Value) -> prost_types::Value {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(value),
        Value::Number(number) => match exact_double(&number) {
            Some(number) => Kind::NumberValue(number),
            None => Kind::StringValue(number.to_string()),
        },
        Value::String(text) => Kind::StringValue(text),
        Value::Array(items) => {
            Kind::ListValue(ListValue { values: items.into_iter().map(to_value).collect() })
        }
        Value::Object(fields) => Kind::StructValue(to_struct(fields)),
    };
    prost_types::Value { kind: Some(kind) }
}

/// Converts a `Struct` back to a JSON object.
pub fn from_struct(fields: Struct) -> Result<Map<String, Value>, NotFinite> {
    let field = |(name, value)| Ok((name, from_value(value)?));
    fields.fields.into_iter().map(field).collect()
}

/// The number as a double, unless it is an integer that a double cannot represent.
fn exact_double(number: &Number) -> Option<f64> {
    let magnitude = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
    let double = number.as_f64()?;
    match magnitude {
        None | Some(..=LARGEST_EXACT) => Some(double),
        Some(_) => (format!("{double:.0}") == number.to_string()).then_some(double),
    }
}

/// Converts a `Value` back to JSON.
pub fn from_value(value: prost_types::Value) -> Result<Value, NotFinite> {
    Ok(match value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(value)) => Value::Bool(value),
        Some(Kind::NumberValue(number)) => from_double(number)?,
        Some(Kind::StringValue(text)) => Value::String(text),
        Some(Kind::ListValue(list)) => {
            Value::Array(list.values.into_iter().map(from_value).collect::<Result<_, _>>()?)
        }
        Some(Kind::StructValue(fields)) => Value::Object(from_struct(fields)?),
    })
}

/// A double as a JSON number: an integer if it has no fraction and is exact.
pub fn from_double(number: f64) -> Result<Value, NotFinite> {
    // Without a fraction the text is that of an integer. Parsing it needs no lossy cast.
    if number.fract() == 0.0
        && let Ok(integer) = format!("{number:.0}").parse::<i64>()
        && integer.unsigned_abs() <= LARGEST_EXACT
    {
        return Ok(Value::from(integer));
    }
    Number::from_f64(number).map(Value::Number).ok_or(NotFinite)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        let Value::Object(fields) = value else { panic!("not an object: {value}") };
        fields
    }

    #[test]
    fn an_integer_that_a_double_cannot_represent_becomes_a_string() {
        let check = |value: Value, expected: Kind| {
            assert_eq!(to_value(value.clone()).kind, Some(expected), "{value}");
        };
        check(json!(1.5), Kind::NumberValue(1.5));
        check(json!(9_007_199_254_740_992_u64), Kind::NumberValue(9_007_199_254_740_992.0));
        check(json!(-9_007_199_254_740_992_i64), Kind::NumberValue(-9_007_199_254_740_992.0));
        check(json!(9_007_199_254_740_993_u64), Kind::StringValue("9007199254740993".to_owned()));
        check(json!(-9_007_199_254_740_993_i64), Kind::StringValue("-9007199254740993".to_owned()));
        check(json!(u64::MAX), Kind::StringValue("18446744073709551615".to_owned()));
        check(json!(100_000_000_000_000_000_u64), Kind::NumberValue(1e17));
    }

    #[test]
    fn a_double_without_a_fraction_becomes_an_integer_if_it_is_exact() {
        let check = |number: f64, expected: Value| {
            assert_eq!(from_double(number), Ok(expected), "{number}");
        };
        check(250_000.0, json!(250_000));
        check(-0.0, json!(0));
        check(0.25, json!(0.25));
        check(9_007_199_254_740_992.0, json!(9_007_199_254_740_992_i64));
        check(9_007_199_254_740_994.0, json!(9_007_199_254_740_994.0));
        check(1e300, json!(1e300));
    }

    #[test]
    fn an_object_survives_the_round_trip() {
        let fields = object(json!({
            "price": 250_000, "lot": 0.25, "sold": null, "tags": ["a", null, { "b": true }],
        }));
        assert_eq!(from_struct(to_struct(fields.clone())), Ok(fields));
    }

    #[test]
    fn a_number_that_is_not_finite_is_rejected() {
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let value = prost_types::Value { kind: Some(Kind::NumberValue(number)) };
            let fields = Struct { fields: [("x".to_owned(), value)].into() };
            assert_eq!(from_struct(fields), Err(NotFinite), "{number}");
        }
    }
}
