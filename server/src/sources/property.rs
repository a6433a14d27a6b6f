//! Properties from the JSON of sources. Every JSON text of a source is read here.

use serde_json::{Map, Value};
use windrow_worker::BODY_DEPTH;

use super::Property;

/// Fewer digits always fit into 64 bits.
const LONG_INTEGER: usize = 19;

/// Reads a JSON text. The error completes "line 3: …" or "page 3: …"; `invalid` gives the one of a text that is not JSON.
pub(super) fn read_json(
    text: &str,
    invalid: impl FnOnce(&serde_json::Error) -> String,
) -> Result<Value, String> {
    let value = serde_json::from_str(text)
        .map_err(|error| beyond_limits(&error).unwrap_or_else(|| invalid(&error)))?;
    match inexact_integer(text) {
        None => Ok(value),
        Some(integer) => {
            let shown: String = integer.chars().take(40).collect();
            Err(format!("the number {shown} has too many digits; write it as a text"))
        }
    }
}

/// A property whose id is the field `key`: a text or a whole number. The error completes "line 3: …".
pub(super) fn property(mut body: Map<String, Value>, key: &str) -> Result<Property, String> {
    let id = body.remove(key).ok_or_else(|| format!("{key} is missing"))?;
    let mut property = Property::new("", body);
    property.id = text_of(id).ok_or_else(|| format!("{key} must be a text or a whole number"))?;
    let id = &property.id.clone();
    property.normalize().map_err(|error| error.about(id).replace("property_id", key))?;
    Ok(property)
}

/// The id as a text: pandas turns a column of whole numbers with a gap into doubles.
fn text_of(id: Value) -> Option<String> {
    match id {
        Value::String(id) => Some(id),
        Value::Number(id) if !id.is_f64() => Some(id.to_string()),
        Value::Number(id) => {
            id.as_f64().filter(|id| id.fract() == 0.0).map(|id| format!("{id:.0}"))
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The reason for JSON that exceeds a limit of the parser.
fn beyond_limits(error: &serde_json::Error) -> Option<String> {
    match error.to_string().split(" at line ").next() {
        Some("recursion limit exceeded") => {
            Some(format!("is nested deeper than {BODY_DEPTH} levels"))
        }
        Some("number out of range") => {
            Some(format!("the number before column {} is too large", error.column()))
        }
        Some(_) | None => None,
    }
}

/// The first integer of a valid JSON text that neither 64 bits nor a double can hold: the parser has rounded it.
fn inexact_integer(text: &str) -> Option<&str> {
    let mut runs = text.as_bytes().split(|byte| !byte.is_ascii_digit());
    if !runs.any(|digits| digits.len() >= LONG_INTEGER) {
        return None;
    }
    numbers(text).find(|number| is_inexact_integer(number))
}

/// The numbers of a valid JSON text, and other pieces between separators.
fn numbers(text: &str) -> impl Iterator<Item = &str> {
    let (mut in_string, mut is_escaped) = (false, false);
    text.split(move |c: char| {
        let is_of_number = !in_string && (c.is_ascii_digit() || matches!(c, '-' | '.' | 'e' | 'E'));
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = in_string,
            '"' => in_string = !in_string,
            _ => {}
        }
        !is_of_number
    })
}

fn is_inexact_integer(number: &str) -> bool {
    let is_integer = number.len() >= LONG_INTEGER && !number.contains(['.', 'e', 'E']);
    is_integer
        && number.parse::<u64>().is_err()
        && number.parse::<i64>().is_err()
        && number.parse().is_ok_and(|double: f64| {
            // All digits, or the shortest ones that make this double, filled up with zeros.
            number != format!("{double:.0}") && number != format!("{double}")
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Result<Value, String> {
        read_json(text, |error| format!("not JSON (at column {})", error.column()))
    }

    proptest! {
        #[test]
        fn every_double_is_read_exactly(
            number in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL | proptest::num::f64::ZERO,
            degrees in -180.0..180.0,
        ) {
            for number in [number, degrees] {
                // The second text is that of Postgres, which has no exponents.
                for text in [json!(number).to_string(), format!("{number}")] {
                    prop_assert_eq!(read(&text).unwrap().as_f64(), Some(number), "{}", text);
                }
            }
        }
    }

    #[test]
    fn a_number_is_read_exactly_or_rejected() {
        let check = |text: &str, expected: Result<Value, &str>| {
            assert_eq!(read(text), expected.map_err(str::to_owned), "{text}");
        };
        check("1.7976931348623157e308", Ok(json!(f64::MAX)));
        check("18446744073709551615", Ok(json!(u64::MAX)));
        check("18446744073709551616", Ok(json!(18_446_744_073_709_551_616.0)));
        check(r#"["12345678901234567890123", "\"12345678901234567890123"]"#, {
            Ok(json!(["12345678901234567890123", "\"12345678901234567890123"]))
        });
        check("0.12345678901234567890123", Ok(json!(0.123_456_789_012_345_68)));
        let digits = "12345678901234567890123";
        let too_many = "the number 12345678901234567890123 has too many digits; write it as a text";
        check(digits, Err(too_many));
        check(&format!(r#"{{"a\\": [true, {digits}]}}"#), Err(too_many));
        let negative = "the number -9999999999999999999 has too many digits; write it as a text";
        check("[-9999999999999999999]", Err(negative));
        check("1e400", Err("the number before column 5 is too large"));
        check("[NaN]", Err("not JSON (at column 2)"));
        let deep = "[".repeat(200);
        check(&deep, Err("is nested deeper than 30 levels"));
    }

    #[test]
    fn an_id_may_be_a_whole_number() {
        let check = |id: Value, expected: Option<&str>| {
            let body = Map::from_iter([("id".to_owned(), id)]);
            let property = property(body, "id");
            assert_eq!(property.ok().map(|it| it.id).as_deref(), expected);
        };
        check(json!("a"), Some("a"));
        check(json!(7_129_300_520_i64), Some("7129300520"));
        check(json!(7_129_300_520.0), Some("7129300520"));
        check(json!(-1), Some("-1"));
        check(json!(u64::MAX), Some("18446744073709551615"));
        for wrong in [json!(1.5), json!(null), json!(true), json!([1]), json!(""), json!("\0")] {
            check(wrong, None);
        }
    }

    #[test]
    fn an_error_names_the_property() {
        let error = |body: Value| {
            let Value::Object(body) = body else { panic!("not an object") };
            property(body, "ListingKey").unwrap_err()
        };
        assert_eq!(error(json!({})), "ListingKey is missing");
        assert_eq!(error(json!({ "ListingKey": "" })), "ListingKey must have 1 to 200 characters");
        let nul = "property '7' contains U+0000, which cannot be stored";
        assert_eq!(error(json!({ "ListingKey": 7, "a": "\0" })), nul);
    }
}
