//! A scheduled job as a YAML document for `apply`.

use prost_reflect::{DynamicMessage, FieldDescriptor, ReflectMessage, Value};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_saphyr::ser_options;
use windrow_client::proto::{ScheduledJob, ScheduledJobStatus};

use super::fields::{duration_of, joined, nested, settable};
use crate::failure::Failure;
use crate::json::{Field, Shown, text};
use crate::render::{clean, is_hostile};

/// Values that the server sets where none is given. Of other fields it knows whether they were given.
const DEFAULTS: [(&str, &str); 2] = [("timezone", "UTC"), ("priority", "normal")];

/// The settings that differ from their defaults, as an object.
pub(crate) struct Settings {
    message: DynamicMessage,
    path: String,
}

/// The YAML document of a job. Comments tell what apply does not set.
pub(crate) fn write(job: &ScheduledJob) -> Result<String, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::Json(error.to_string());
    let (settings, options) = (Settings::new(job)?, ser_options! { prefer_block_scalars: false });
    let yaml = serde_saphyr::to_string_with_options(&settings, options);
    let mut yaml = yaml.map_err(|error| failed(&error))?;
    if yaml.contains(|c| c != '\n' && is_hostile(c)) {
        // JSON is YAML, too, and has escapes for all characters.
        yaml = text::line(&settings).map_err(|error| failed(&error))?;
    }
    let comments = comments(job).into_iter().map(|line| format!("# {}", clean(&line)));
    let start = ["---".to_owned()].into_iter();
    let lines: Vec<_> =
        start.chain(comments).chain([yaml.trim_end_matches('\n').to_owned()]).collect();
    Ok(lines.join("\n"))
}

impl Settings {
    pub(crate) fn new(job: &ScheduledJob) -> Result<Self, Failure> {
        Ok(Self { message: Shown::new(job)?.into_message(), path: String::new() })
    }

    fn is_empty(&self) -> bool {
        self.fields().is_empty()
    }

    fn fields(&self) -> Vec<FieldDescriptor> {
        let fields = settable(&self.message.descriptor()).into_iter();
        fields.filter(|field| self.is_shown(field)).collect()
    }

    fn is_shown(&self, field: &FieldDescriptor) -> bool {
        if !self.message.has_field(field) {
            return false;
        }
        if let Some(inner) = self.inner(field) {
            return !inner.is_empty();
        }
        let path = joined(&self.path, field.name());
        let Some((_, default)) = DEFAULTS.iter().find(|(known, _)| *known == path) else {
            return true;
        };
        let json = serde_json::to_value(Field(&self.message.get_field(field), &field.kind()));
        json.ok().is_none_or(|json| json != *default)
    }

    fn inner(&self, field: &FieldDescriptor) -> Option<Self> {
        nested(field)?;
        let message = self.message.get_field(field).as_message()?.clone();
        Some(Self { message, path: joined(&self.path, field.name()) })
    }
}

impl Serialize for Settings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for field in self.fields() {
            let value = self.message.get_field(&field);
            let duration = match &*value {
                Value::Message(message) => duration_of(message),
                _ => None,
            };
            match (self.inner(&field), duration) {
                (Some(inner), _) => map.serialize_entry(field.name(), &inner)?,
                (None, Some(duration)) => map.serialize_entry(field.name(), &duration)?,
                (None, None) => map.serialize_entry(field.name(), &Field(&value, &field.kind()))?,
            }
        }
        map.end()
    }
}

/// State that is left out.
fn comments(job: &ScheduledJob) -> Vec<String> {
    let mut lines = Vec::new();
    match job.status() {
        ScheduledJobStatus::Paused => {
            let until = job.paused_until.as_ref().map(|end| format!(" until {end}"));
            let reason = Some(job.pause_reason.as_str()).filter(|reason| !reason.is_empty());
            let reason = reason.map(|reason| format!(": {reason}"));
            let (until, reason) = (until.unwrap_or_default(), reason.unwrap_or_default());
            lines.push(format!("paused{until}{reason} (apply does not pause or resume)"));
        }
        ScheduledJobStatus::Inactive => {
            lines.push("inactive (apply does not deactivate or resume)".to_owned());
        }
        ScheduledJobStatus::Active | ScheduledJobStatus::Unspecified => {}
    }
    lines.extend(job.deleted_at.map(|_| "deleted (apply restores it)".to_owned()));
    if !job.problem.is_empty() {
        lines.push(format!("invalid: {}", job.problem));
    }
    lines
}
