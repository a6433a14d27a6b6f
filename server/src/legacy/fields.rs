//! The fields of one document in any of their forms: plain JSON or MongoDB's extended JSON, numbers
//! as floats or text, times with or without a zone, null for a missing field.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use serde_json::{Map, Value};

use crate::domain::time;

/// Fields that the import does not need.
const IGNORED: [&str; 3] = ["_id", "next_run_at", "updated_by"];
/// Numbers above this are milliseconds since 1970, others are seconds. As seconds, it is in the
/// year 5138.
const MIN_MILLISECONDS: f64 = 1e11;

/// The unread fields, and the notes about those that were read.
#[derive(Clone, Debug)]
pub(super) struct Fields {
    unread: Map<String, Value>,
    notes: Vec<String>,
}

impl Fields {
    pub(super) fn new(document: Map<String, Value>) -> Self {
        let given = document.into_iter().map(|(name, value)| (name, unwrapped(value)));
        let unread =
            given.filter(|(name, value)| !value.is_null() && !IGNORED.contains(&name.as_str()));
        Self { unread: unread.collect(), notes: Vec::new() }
    }

    /// Returns the notes, and the names of the unread fields.
    pub(super) fn finish(self) -> (Vec<String>, Vec<String>) {
        (self.notes, self.unread.into_iter().map(|(name, _)| name).collect())
    }

    /// True if a field exists and is not empty.
    pub(super) fn has(&self, name: &str) -> bool {
        self.unread.get(name).is_some_and(|value| value.as_str() != Some(""))
    }

    pub(super) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// A field's unchanged value.
    pub(super) fn value(&mut self, name: &str) -> Option<Value> {
        self.unread.remove(name)
    }

    /// A string, trimmed; a number becomes its digits.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        let text = match self.unread.remove(name)? {
            Value::String(text) => text.trim().to_owned(),
            Value::Number(number) => number.to_string(),
            other => return self.ignore_invalid(name, &other, "a string"),
        };
        Some(text).filter(|text| !text.is_empty())
    }

    /// A number, which may be in a string.
    pub(super) fn number(&mut self, name: &str) -> Option<f64> {
        let value = self.unread.remove(name)?;
        let number = match &value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        number
            .filter(|n: &f64| n.is_finite())
            .or_else(|| self.ignore_invalid(name, &value, "a number"))
    }

    /// A whole number that is not negative; others are rounded down, with a note.
    pub(super) fn count(&mut self, name: &str) -> Option<i64> {
        let number = self.number(name)?;
        let text = format!("{:.0}", number.trunc().max(0.0));
        if number < 0.0 || number.fract() != 0.0 {
            self.note(format!("{name} {number} was changed to {text}"));
        }
        text.parse().ok().or_else(|| {
            self.note(format!("{name} {number} is too large; ignored"));
            None
        })
    }

    /// A time: RFC 3339, ISO 8601 without a zone (UTC), a date, or seconds or milliseconds since
    /// 1970.
    pub(super) fn time(&mut self, name: &str) -> Option<DateTime<Utc>> {
        let value = self.unread.remove(name)?;
        let time = match &value {
            Value::String(text) => parse_time(text.trim()),
            Value::Number(number) => number.as_f64().and_then(from_epoch),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        time.and_then(time::stored).or_else(|| self.ignore_invalid(name, &value, "a time"))
    }

    /// The strings of a list; a single value is a list of one.
    pub(super) fn list(&mut self, name: &str) -> Vec<String> {
        let items = match self.unread.remove(name) {
            Some(Value::Array(items)) => items,
            Some(one) => vec![one],
            None => Vec::new(),
        };
        let mut texts = Vec::new();
        for item in items {
            match item {
                Value::String(text) => texts.push(text.trim().to_owned()),
                Value::Number(number) => texts.push(number.to_string()),
                other => _ = self.ignore_invalid::<()>(name, &other, "a string"),
            }
        }
        texts
    }

    fn ignore_invalid<T>(&mut self, name: &str, value: &Value, expected: &str) -> Option<T> {
        let shown: String = value.to_string().chars().take(60).collect();
        self.note(format!("{name} {shown} is not {expected}; ignored"));
        None
    }
}

/// The value without MongoDB's type wrappers (extended JSON, versions 1 and 2).
fn unwrapped(value: Value) -> Value {
    match value {
        Value::Object(mut fields) if fields.len() == 1 => {
            let wrapped =
                ["$date", "$oid", "$numberInt", "$numberLong", "$numberDouble", "$numberDecimal"]
                    .iter()
                    .find_map(|name| fields.remove(*name));
            match wrapped {
                Some(inner) => unwrapped(inner),
                None => fields.into_iter().map(|(name, value)| (name, unwrapped(value))).collect(),
            }
        }
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (name, unwrapped(value))).collect()
        }
        Value::Array(items) => items.into_iter().map(unwrapped).collect(),
        // Postgres rejects text with U+0000.
        Value::String(text) if text.contains('\0') => Value::String(text.replace('\0', "")),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    let zoned = DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z"))
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f%#z"));
    if let Ok(time) = zoned {
        return Some(time.with_timezone(&Utc));
    }
    let naive = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    let midnight = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0);
    let naive = naive.or_else(midnight).map(|naive| naive.and_utc());
    naive.or_else(|| text.parse().ok().and_then(from_epoch))
}

fn from_epoch(number: f64) -> Option<DateTime<Utc>> {
    let milliseconds = if number.abs() > MIN_MILLISECONDS { number } else { number * 1_000.0 };
    // Converting through text fails for a float that does not fit an integer; a cast would not.
    let whole: i64 = format!("{milliseconds:.0}").parse().ok()?;
    DateTime::from_timestamp_millis(whole)
}
