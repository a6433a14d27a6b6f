//! What a source found, as `google.protobuf.Struct`, whose numbers are doubles.

use prost_types::value::Kind;
use prost_types::{ListValue, Struct};
use serde_json::{Map, Number, Value};

/// Larger integers may not be exact as doubles.
const LARGEST_EXACT: u64 = 1 << 53;

/// Whole numbers that a double cannot hold become text, so that no digit is lost.
pub(super) fn to_struct(fields: &Map<String, Value>) -> Struct {
    let field = |(name, value): (&String, &Value)| (name.clone(), to_value(value));
    Struct { fields: fields.iter().map(field).collect() }
}

fn to_value(value: &Value) -> prost_types::Value {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(is) => Kind::BoolValue(*is),
        Value::Number(number) => match exact(number) {
            Some(number) => Kind::NumberValue(number),
            None => Kind::StringValue(number.to_string()),
        },
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(items) => {
            Kind::ListValue(ListValue { values: items.iter().map(to_value).collect() })
        }
        Value::Object(fields) => Kind::StructValue(to_struct(fields)),
    };
    prost_types::Value { kind: Some(kind) }
}

fn exact(number: &Number) -> Option<f64> {
    let size = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
    if size.is_some_and(|size| size > LARGEST_EXACT) { None } else { number.as_f64() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_digit_of_a_whole_number_is_lost() {
        let check = |value: Value, expected: Kind| {
            assert_eq!(to_value(&value).kind, Some(expected), "{value}");
        };
        check(json!(1.5), Kind::NumberValue(1.5));
        check(json!(9_007_199_254_740_992_u64), Kind::NumberValue(9_007_199_254_740_992.0));
        check(json!(9_007_199_254_740_993_u64), Kind::StringValue("9007199254740993".to_owned()));
        check(json!(-9_007_199_254_740_993_i64), Kind::StringValue("-9007199254740993".to_owned()));
        check(json!(u64::MAX), Kind::StringValue("18446744073709551615".to_owned()));
    }

    #[test]
    fn what_is_nested_stays_so() {
        let Value::Object(fields) = json!({ "a": [null, { "b": true }] }) else { panic!() };
        let Some(Kind::ListValue(list)) = to_struct(&fields).fields["a"].kind.clone() else {
            panic!("not a list");
        };
        assert_eq!(list.values[0].kind, Some(Kind::NullValue(0)));
        let Some(Kind::StructValue(inner)) = &list.values[1].kind else { panic!("not an object") };
        assert_eq!(inner.fields["b"].kind, Some(Kind::BoolValue(true)));
    }
}
