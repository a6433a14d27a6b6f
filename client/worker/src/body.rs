//! Bodies of properties: their limits, and the one form in which their values are stored.
//!
//! Every body passes through [`normalize`], whichever way it comes. What it accepts can be stored by Postgres as
//! `jsonb`, sent as a `google.protobuf.Struct`, and read by every client, and comes back unchanged.

use serde_json::{Map, Number, Value};

use crate::property::InvalidProperty;

/// Maximum nesting of objects and lists; the body itself is the first level.
///
/// Protobuf in Rust, C++, Java and Python rejects messages that are nested deeper than 100 levels. An object in a
/// `google.protobuf.Struct` takes three of them (`Struct`, entry, `Value`). 30 objects and the messages around the
/// body take 91, which leaves some for messages of others.
pub const BODY_DEPTH: usize = 30;
/// Maximum size in bytes, at least the size as a `google.protobuf.Struct`: the texts, and 20 bytes for each field
/// or 12 for each item of a list. A change of a property has two bodies, and with the property itself it must fit into
/// a message of 4 MiB, the limit of most clients.
pub const BODY_BYTES: usize = 1024 * 1024;

/// Every integer up to this magnitude has an exact double: 2^53.
const LARGEST_EXACT: u64 = 1 << 53;
/// The same as a double.
const LARGEST_EXACT_DOUBLE: f64 = 9_007_199_254_740_992.0;
/// Bytes of a field without its name and its text: four tags with their lengths, and a double.
const FIELD_BYTES: usize = 20;
/// Bytes of a list's item without its text.
const ITEM_BYTES: usize = 12;
/// Within these magnitudes, the decimal notation of a double, which Postgres stores, is short.
const SHORT_NOTATION: std::ops::Range<f64> = 1e-5..1e17;

/// Checks the limits and brings every number into the form in which it survives a `google.protobuf.Struct` and
/// `jsonb`: a whole number is an integer, and an integer that a double cannot represent is a text of its digits.
/// Returns the size.
pub(crate) fn normalize(body: &mut Map<String, Value>) -> Result<usize, InvalidProperty> {
    let mut size = Size(0);
    normalize_fields(body, 1, &mut size)?;
    Ok(size.0)
}

/// The size so far.
struct Size(usize);

impl Size {
    fn add(&mut self, bytes: usize) -> Result<(), InvalidProperty> {
        self.0 = self.0.saturating_add(bytes);
        if self.0 > BODY_BYTES { Err(InvalidProperty::TooLarge) } else { Ok(()) }
    }

    fn add_text(&mut self, text: &str) -> Result<(), InvalidProperty> {
        self.add(text.len())?;
        if text.contains('\0') { Err(InvalidProperty::Nul) } else { Ok(()) }
    }
}

fn normalize_fields(
    fields: &mut Map<String, Value>,
    depth: usize,
    size: &mut Size,
) -> Result<(), InvalidProperty> {
    for (name, value) in fields {
        size.add(FIELD_BYTES)?;
        size.add_text(name)?;
        normalize_value(value, depth, size)?;
    }
    Ok(())
}

/// `depth` is that of the object or list around the value.
fn normalize_value(
    value: &mut Value,
    depth: usize,
    size: &mut Size,
) -> Result<(), InvalidProperty> {
    match value {
        Value::Null | Value::Bool(_) => Ok(()),
        Value::String(text) => size.add_text(text),
        Value::Number(number) => {
            size.add(long_notation(number))?;
            if let Some(normal) = normalized(number) {
                *value = normal;
            }
            Ok(())
        }
        Value::Array(_) | Value::Object(_) if depth >= BODY_DEPTH => Err(InvalidProperty::TooDeep),
        Value::Object(fields) => normalize_fields(fields, depth + 1, size),
        Value::Array(items) => items.iter_mut().try_for_each(|item| {
            size.add(ITEM_BYTES)?;
            normalize_value(item, depth + 1, size)
        }),
    }
}

/// The stored form of a number that has another one.
fn normalized(number: &Number) -> Option<Value> {
    let magnitude = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
    match magnitude {
        Some(..=LARGEST_EXACT) => None,
        Some(_) => Some(Value::String(number.to_string())),
        None => whole(number.as_f64()?).map(Value::from),
    }
}

/// The double as an integer, if it is one and all its digits are exact. Negative zero is zero.
fn whole(double: f64) -> Option<i64> {
    if double.fract() != 0.0 || double.abs() > LARGEST_EXACT_DOUBLE {
        return None;
    }
    // Without a fraction the text is that of an integer. Parsing it needs no lossy cast.
    format!("{double:.0}").parse().ok()
}

/// Bytes of a number's decimal notation if it is long: 1e300 has 301 digits.
fn long_notation(number: &Number) -> usize {
    let double = number.as_f64().filter(|_| number.is_f64()).unwrap_or_default();
    if double == 0.0 || SHORT_NOTATION.contains(&double.abs()) {
        return 0;
    }
    format!("{double}").len()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn normal(value: impl Into<Value>) -> Result<Value, InvalidProperty> {
        let mut body = Map::from_iter([("field".to_owned(), value.into())]);
        normalize(&mut body)?;
        Ok(body.remove("field").unwrap())
    }

    #[test]
    fn numbers_have_one_form() {
        let check = |value: Value, expected: Value| {
            assert_eq!(normal(json!([value])), Ok(json!([expected])));
        };
        check(json!(250_000), json!(250_000));
        check(json!(250_000.0), json!(250_000));
        check(json!(-0.0), json!(0));
        check(json!(0.25), json!(0.25));
        check(json!(9_007_199_254_740_992.0), json!(9_007_199_254_740_992_i64));
        check(json!(-9_007_199_254_740_992_i64), json!(-9_007_199_254_740_992_i64));
        check(json!(9_007_199_254_740_993_i64), json!("9007199254740993"));
        check(json!(i64::MIN), json!("-9223372036854775808"));
        check(json!(u64::MAX), json!("18446744073709551615"));
        check(json!(1e17), json!(1e17));
        check(json!(f64::MAX), json!(f64::MAX));
        check(json!(5e-324), json!(5e-324));
    }

    /// A value of `levels` nested lists or objects in turn, in a body of one more level.
    fn nested(levels: usize) -> Value {
        (0..levels).fold(json!(1), |inner, level| match level % 2 {
            0 => json!([inner]),
            _ => json!({ "a": inner }),
        })
    }

    #[test]
    fn the_depth_is_limited() {
        assert!(normal(nested(BODY_DEPTH - 1)).is_ok());
        assert_eq!(normal(nested(BODY_DEPTH)), Err(InvalidProperty::TooDeep));
        assert_eq!(normal(nested(100)), Err(InvalidProperty::TooDeep));
        assert!(normal(json!([[], {}])).is_ok());
    }

    #[test]
    fn the_size_is_limited_whatever_it_is_made_of() {
        let text = |length: usize| normal("x".repeat(length)).is_ok();
        let most = BODY_BYTES - FIELD_BYTES - "field".len();
        assert!(text(most) && !text(most + 1));
        let items = |count: usize| normal(vec![json!(1); count]).is_ok();
        assert!(items(most / ITEM_BYTES) && !items(most / ITEM_BYTES + 1));
        let long = |number: f64, count: usize| normal(vec![json!(number); count]).is_ok();
        assert!(long(1.5e10, 10_000) && !long(1e300, 10_000) && !long(1e-300, 10_000));
    }

    #[test]
    fn text_that_postgres_cannot_store_is_rejected_wherever_it_is() {
        for value in [json!("\0"), json!([{ "a": ["\0"] }]), json!({ "a": { "\0": 1 } })] {
            assert_eq!(normal(value), Err(InvalidProperty::Nul));
        }
        assert!(normal(json!("\u{1}\u{fffe}\u{10ffff}")).is_ok());
    }
}
