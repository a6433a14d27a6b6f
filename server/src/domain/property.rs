//! Properties as they are read, and their changes.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::id::{RunId, ScheduledJobId};
use super::parameters::ListingType;
use super::size::Size;

/// A property in its latest state.
#[derive(Clone, Debug, PartialEq)]
pub struct Property {
    pub source: String,
    /// Unique within the source.
    pub property_id: String,
    /// The row as the source reported it.
    pub body: Map<String, Value>,
    /// Location in the last run that saw the property.
    pub location: String,
    /// Kind of listing in the last run that saw the property; `None` if unknown.
    pub listing_type: Option<ListingType>,
    pub first_seen_at: DateTime<Utc>,
    pub first_job_id: String,
    pub last_seen_at: DateTime<Utc>,
    pub last_job_id: String,
    /// Time of the last change, or of the first sight.
    pub changed_at: DateTime<Utc>,
    /// Number of changes since the first sight.
    pub change_count: i64,
}

/// The changes that one run made to a property.
#[derive(Clone, Debug, PartialEq)]
pub struct PropertyChange {
    /// Counts the changes of the property from 1.
    pub number: i64,
    pub job_id: String,
    pub changed_at: DateTime<Utc>,
    pub fields: Vec<FieldChange>,
}

/// A change of one field, as it is stored. Null is a value, and an absent field is `None`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FieldChange {
    pub field: String,
    /// `None` for a new field.
    #[serde(default, deserialize_with = "null_too", skip_serializing_if = "Option::is_none")]
    pub old: Option<Value>,
    /// `None` for a removed field.
    #[serde(default, deserialize_with = "null_too", skip_serializing_if = "Option::is_none")]
    pub new: Option<Value>,
}

/// Selects properties, and a page of them.
#[derive(Clone, Debug, Default)]
pub struct PropertyFilter {
    pub source: Option<String>,
    /// Only properties that a run of this scheduled job has found.
    pub scheduled_job_id: Option<ScheduledJobId>,
    /// Only properties that this run has read; `source` is then the run's.
    pub job_id: Option<RunId>,
    /// Location in the last run that saw the property.
    pub location: Option<String>,
    pub listing_type: Option<ListingType>,
    /// Only properties first seen or changed since this time.
    pub changed_since: Option<DateTime<Utc>>,
    /// Source and id of the last property on the previous page.
    pub after: Option<(String, String)>,
}

fn null_too<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

/// Ids, times, tags and lengths of a property or change.
const BASE: usize = 1_024;

impl Size for Property {
    fn size(&self) -> usize {
        let texts = [&self.source, &self.property_id, &self.location].map(String::len);
        BASE + texts.iter().sum::<usize>() + size_of_object(&self.body)
    }
}

impl Size for PropertyChange {
    fn size(&self) -> usize {
        let of_field = |field: &FieldChange| {
            let values = [&field.old, &field.new].into_iter().flatten().map(size_of_value);
            nested(nested(field.field.len()) + values.map(nested).sum::<usize>())
        };
        BASE + self.fields.iter().map(of_field).sum::<usize>()
    }
}

/// Bytes of a `google.protobuf.Struct`.
pub fn size_of_object(fields: &Map<String, Value>) -> usize {
    let entry = |(name, value): (&String, &Value)| {
        nested(nested(name.len()) + nested(size_of_value(value)))
    };
    fields.iter().map(entry).sum()
}

/// Bytes of a `google.protobuf.Value`.
fn size_of_value(value: &Value) -> usize {
    /// A tag, and a double or the digits of an integer that is sent as a text.
    const NUMBER: usize = 22;
    const DOUBLE: usize = 9;
    match value {
        Value::Null | Value::Bool(_) => 2,
        Value::Number(number) if number.is_f64() => DOUBLE,
        Value::Number(number) if number.as_i64().is_some_and(|n| n.unsigned_abs() <= 1 << 53) => {
            DOUBLE
        }
        Value::Number(_) => NUMBER,
        Value::String(text) => nested(text.len()),
        Value::Array(items) => nested(items.iter().map(|item| nested(size_of_value(item))).sum()),
        Value::Object(fields) => nested(size_of_object(fields)),
    }
}

/// Bytes of a field with this content: tag, length and content.
fn nested(length: usize) -> usize {
    let digits = usize::BITS - length.leading_zeros();
    // Seven bits of the length for each byte.
    let of_length = usize::try_from(digits.div_ceil(7)).unwrap_or_default().max(1);
    1 + of_length + length
}
