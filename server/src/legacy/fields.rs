//! The fields of one document, whatever form they come in: plain JSON or MongoDB's extended JSON,
//! numbers as floats or text, times with or without a zone, null for what is not there.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use serde_json::{Map, Value};

/// Fields that say nothing that is needed.
const IGNORED: [&str; 3] = ["_id", "next_run_at", "updated_by"];
/// Numbers above this are milliseconds since 1970, below it seconds: the year 5138 as seconds.
const MILLISECONDS: f64 = 1e11;

/// The fields that were not read yet, and what was found out about those that were.
#[derive(Clone, Debug)]
pub(super) struct Fields {
    rest: Map<String, Value>,
    notes: Vec<String>,
}

impl Fields {
    pub(super) fn new(document: Map<String, Value>) -> Self {
        let given = document.into_iter().map(|(name, value)| (name, plain(value)));
        let rest =
            given.filter(|(name, value)| !value.is_null() && !IGNORED.contains(&name.as_str()));
        Self { rest: rest.collect(), notes: Vec::new() }
    }

    /// Notes, and the names of fields that nobody asked for.
    pub(super) fn finish(self) -> (Vec<String>, Vec<String>) {
        (self.notes, self.rest.into_iter().map(|(name, _)| name).collect())
    }

    /// Whether a field is there and not empty.
    pub(super) fn has(&self, name: &str) -> bool {
        self.rest.get(name).is_some_and(|value| value.as_str() != Some(""))
    }

    pub(super) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// A field's value as it is.
    pub(super) fn value(&mut self, name: &str) -> Option<Value> {
        self.rest.remove(name)
    }

    /// A text, trimmed; numbers are taken as their digits.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        let text = match self.rest.remove(name)? {
            Value::String(text) => text.trim().to_owned(),
            Value::Number(number) => number.to_string(),
            other => return self.unreadable(name, &other, "a text"),
        };
        Some(text).filter(|text| !text.is_empty())
    }

    /// A number, also as a text.
    pub(super) fn number(&mut self, name: &str) -> Option<f64> {
        let value = self.rest.remove(name)?;
        let number = match &value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        number.filter(|n: &f64| n.is_finite()).or_else(|| self.unreadable(name, &value, "a number"))
    }

    /// A whole number that is not negative; others are rounded down, with a note.
    pub(super) fn count(&mut self, name: &str) -> Option<i64> {
        let number = self.number(name)?;
        let text = format!("{:.0}", number.trunc().max(0.0));
        if number < 0.0 || number.fract() != 0.0 {
            self.note(format!("{name} {number} was taken as {text}"));
        }
        text.parse().ok().or_else(|| {
            self.note(format!("{name} {number} is too large and was left out"));
            None
        })
    }

    /// A time: RFC 3339, ISO 8601 without a zone (UTC), a date, or seconds or milliseconds since 1970.
    pub(super) fn time(&mut self, name: &str) -> Option<DateTime<Utc>> {
        let value = self.rest.remove(name)?;
        let time = match &value {
            Value::String(text) => time_of(text.trim()),
            Value::Number(number) => number.as_f64().and_then(since_epoch),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        time.or_else(|| self.unreadable(name, &value, "a time"))
    }

    /// Texts of a list, or the only one.
    pub(super) fn list(&mut self, name: &str) -> Vec<String> {
        let items = match self.rest.remove(name) {
            Some(Value::Array(items)) => items,
            Some(one) => vec![one],
            None => Vec::new(),
        };
        let mut texts = Vec::new();
        for item in items {
            match item {
                Value::String(text) => texts.push(text.trim().to_owned()),
                Value::Number(number) => texts.push(number.to_string()),
                other => _ = self.unreadable::<()>(name, &other, "a text"),
            }
        }
        texts
    }

    fn unreadable<T>(&mut self, name: &str, value: &Value, wanted: &str) -> Option<T> {
        let shown: String = value.to_string().chars().take(60).collect();
        self.note(format!("{name} {shown} is not {wanted} and was left out"));
        None
    }
}

/// The value without MongoDB's wrappings (extended JSON, versions 1 and 2).
fn plain(value: Value) -> Value {
    match value {
        Value::Object(mut fields) if fields.len() == 1 => {
            let wrapped =
                ["$date", "$oid", "$numberInt", "$numberLong", "$numberDouble", "$numberDecimal"]
                    .iter()
                    .find_map(|name| fields.remove(*name));
            match wrapped {
                Some(inner) => plain(inner),
                None => fields.into_iter().map(|(name, value)| (name, plain(value))).collect(),
            }
        }
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (name, plain(value))).collect()
        }
        Value::Array(items) => items.into_iter().map(plain).collect(),
        // Postgres knows no text with U+0000.
        Value::String(text) if text.contains('\0') => Value::String(text.replace('\0', "")),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

fn time_of(text: &str) -> Option<DateTime<Utc>> {
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
    naive.or_else(|| text.parse().ok().and_then(since_epoch))
}

fn since_epoch(number: f64) -> Option<DateTime<Utc>> {
    let milliseconds = if number.abs() > MILLISECONDS { number } else { number * 1_000.0 };
    // Text is the way from a float to an integer that cannot go wrong unnoticed.
    let whole: i64 = format!("{milliseconds:.0}").parse().ok()?;
    DateTime::from_timestamp_millis(whole)
}
