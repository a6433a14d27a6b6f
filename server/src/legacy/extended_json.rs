//! MongoDB's extended JSON (version 1, and version 2 canonical and relaxed) as plain JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::domain::time;

/// Wrappers around a string or number.
const SCALARS: [&str; 7] =
    ["$oid", "$uuid", "$symbol", "$numberInt", "$numberLong", "$numberDouble", "$numberDecimal"];
/// Binary subtypes of a UUID.
const UUIDS: [&str; 4] = ["03", "3", "04", "4"];

/// The value without wrappers. A time becomes RFC 3339 and a UUID its text; types without a plain form stay as
/// they are.
pub(super) fn plain(value: Value) -> Value {
    match value {
        Value::Object(fields) => match unwrapped(&fields) {
            Some(plain) => plain,
            None => fields.into_iter().map(|(name, value)| (name, plain(value))).collect(),
        },
        Value::Array(items) => items.into_iter().map(plain).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

fn unwrapped(fields: &Map<String, Value>) -> Option<Value> {
    if let Some(binary) = fields.get("$binary") {
        return uuid(binary, fields.get("$type"));
    }
    let (name, inner) = fields.iter().next().filter(|_| fields.len() == 1)?;
    match (name.as_str(), inner) {
        ("$date", Value::String(_)) => Some(inner.clone()),
        ("$date", _) => Some(date(&plain(inner.clone()))),
        ("$timestamp", _) => {
            Some(date(&Value::from(inner.get("t")?.as_i64()?.checked_mul(1_000)?)))
        }
        ("$undefined", _) => Some(Value::Null),
        (name, Value::String(_) | Value::Number(_)) if SCALARS.contains(&name) => {
            Some(inner.clone())
        }
        _ => None,
    }
}

/// A time in milliseconds since 1970. Others become a text that is not a time.
fn date(milliseconds: &Value) -> Value {
    let text = milliseconds.as_str().map_or_else(|| milliseconds.to_string(), str::to_owned);
    let whole =
        text.parse().ok().or_else(|| format!("{:.0}", text.parse::<f64>().ok()?).parse().ok());
    let time = whole.and_then(DateTime::from_timestamp_millis).and_then(time::stored);
    Value::String(match time {
        Some(time) => time.to_rfc3339_opts(SecondsFormat::AutoSi, true),
        None => format!("{text} milliseconds since 1970"),
    })
}

/// Version 2 has an object in `$binary`, version 1 a text beside `$type`.
fn uuid(binary: &Value, kind: Option<&Value>) -> Option<Value> {
    let base64 = binary.get("base64").unwrap_or(binary).as_str()?;
    let kind = binary.get("subType").or(kind)?.as_str()?;
    let bytes = STANDARD.decode(base64).ok().filter(|_| UUIDS.contains(&kind))?;
    Some(Value::String(Uuid::from_slice(&bytes).ok()?.to_string()))
}
