//! Properties as they are read, and their changes.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::id::{RunId, ScheduledJobId};
use super::parameters::ListingType;

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
