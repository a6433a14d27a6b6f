//! Numbers as they were before Postgres wrote them.

use serde_json::{Map, Number, Value};

use crate::domain::property::FieldChange;

/// Integers beyond this magnitude are stored as texts: 2^53.
const LARGEST_INTEGER: u64 = 1 << 53;

/// The fields with their doubles. Postgres writes -4.47969311082193e18 as -4479693110821930000, which is read as an
/// integer that is not even the double's value.
pub(super) fn restored(mut fields: Map<String, Value>) -> Map<String, Value> {
    fields.values_mut().for_each(restore);
    fields
}

pub(super) fn restored_changes(mut changes: Vec<FieldChange>) -> Vec<FieldChange> {
    for change in &mut changes {
        change.old.iter_mut().chain(&mut change.new).for_each(restore);
    }
    changes
}

fn restore(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(double) = stored_double(number) {
                *number = double;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(restore),
        Value::Object(fields) => fields.values_mut().for_each(restore),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

fn stored_double(number: &Number) -> Option<Number> {
    let magnitude = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs))?;
    (magnitude > LARGEST_INTEGER).then(|| Number::from_f64(number.as_f64()?)).flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn large_integers_are_doubles_again() {
        let check = |stored: &str, expected: Value| {
            let mut value: Value = serde_json::from_str(stored).unwrap();
            restore(&mut value);
            assert_eq!(value, expected, "{stored}");
        };
        check("-4479693110821930000", json!(-4.479_693_110_821_93e18));
        check("100000000000000000", json!(1e17));
        check("-9223372036854775808", json!(-9_223_372_036_854_775_808.0));
        check("18446744073709552000", json!(1.844_674_407_370_955_2e19));
        check("9007199254740992", json!(9_007_199_254_740_992_u64));
        check("-9007199254740992", json!(-9_007_199_254_740_992_i64));
        check(r#"{"a": [9007199254740994]}"#, json!({ "a": [9_007_199_254_740_994.0] }));
        check(r#""9007199254740993""#, json!("9007199254740993"));
    }
}
