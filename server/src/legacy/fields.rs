//! The fields of one document in any of their forms: plain JSON or MongoDB's extended JSON, numbers
//! as floats or text, times with or without a zone, null for a missing field.
//!
//! All values are bounded here, and every change of a value has a note.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use serde_json::{Map, Value};

use super::extended_json::plain;
use crate::domain::text::shortened;
use crate::domain::time;

/// Fields that the import does not need.
const IGNORED: [&str; 3] = ["_id", "next_run_at", "updated_by"];
/// Numbers above this are milliseconds since 1970, others are seconds. As seconds, it is in the
/// year 5138.
const MIN_MILLISECONDS: f64 = 1e11;
/// Larger counts are mistakes. Millions of this size can be added up.
const MAX_COUNT: f64 = 1e12;
/// Maximum length of a note, and of the reason of a rejection, in characters.
pub(super) const NOTE_LENGTH: usize = 400;
/// Maximum number of notes about a document.
const NOTES: usize = 20;
/// Maximum number of characters of a value or a field's name in a note.
const SHOWN_LENGTH: usize = 60;

/// The unread fields, and the notes about those that were read.
#[derive(Clone, Debug)]
pub(super) struct Fields {
    unread: Map<String, Value>,
    notes: Vec<String>,
    /// Number of notes beyond the maximum.
    further_notes: u64,
}

impl Fields {
    pub(super) fn new(document: Map<String, Value>) -> Self {
        let mut fields = Self { unread: Map::new(), notes: Vec::new(), further_notes: 0 };
        for (name, value) in document {
            let mut value = plain(value);
            if value.is_null() || IGNORED.contains(&name.as_str()) {
                continue;
            }
            if remove_nul(&mut value) {
                fields.note(format!("{name} contains U+0000, which cannot be stored; removed it"));
            }
            fields.unread.insert(name, value);
        }
        fields
    }

    /// Returns the notes, and the names of the unread fields.
    pub(super) fn finish(mut self) -> (Vec<String>, Vec<String>) {
        if self.further_notes > 0 {
            self.notes.push(format!("… and {} more repairs", self.further_notes));
        }
        let unread = self.unread.iter().map(|(name, _)| shortened(name, SHOWN_LENGTH));
        (self.notes, unread.collect())
    }

    /// True if a field exists and is not empty.
    pub(super) fn has(&self, name: &str) -> bool {
        self.unread.get(name).is_some_and(|value| value.as_str() != Some(""))
    }

    pub(super) fn note(&mut self, note: impl AsRef<str>) {
        if self.notes.len() < NOTES {
            self.notes.push(shortened(note.as_ref(), NOTE_LENGTH));
        } else {
            self.further_notes += 1;
        }
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

    /// A whole number from 0 to `MAX_COUNT`. Others are rounded down, or ignored if they are too large, with a note.
    pub(super) fn count(&mut self, name: &str) -> Option<i64> {
        let number = self.number(name)?;
        if number > MAX_COUNT {
            let shown = shortened(&number.to_string(), SHOWN_LENGTH);
            self.note(format!("{name} {shown} is larger than 10^12; ignored"));
            return None;
        }
        let text = format!("{:.0}", number.trunc().max(0.0));
        if number < 0.0 || number.fract() != 0.0 {
            let shown = shortened(&number.to_string(), SHOWN_LENGTH);
            self.note(format!("{name} {shown} was changed to {text}"));
        }
        text.parse().ok()
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
        let shown = shortened(&value.to_string(), SHOWN_LENGTH);
        self.note(format!("{name} {shown} is not {expected}; ignored"));
        None
    }
}

/// Removes U+0000, which Postgres rejects. Returns true if there was any.
fn remove_nul(value: &mut Value) -> bool {
    match value {
        Value::String(text) if text.contains('\0') => {
            text.retain(|c| c != '\0');
            true
        }
        // Not `any`, which would stop at the first.
        Value::Array(items) => items.iter_mut().map(remove_nul).filter(|found| *found).count() > 0,
        Value::Object(fields) => {
            fields.values_mut().map(remove_nul).filter(|found| *found).count() > 0
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
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
