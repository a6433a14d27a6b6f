//! The settings among the fields of a job.

use std::collections::BTreeMap;

use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage, Value,
};
use serde_json::Value as Json;
use windrow_client::proto::ScheduledJob;

use super::scalar::is_duration;
use crate::failure::Failure;
use crate::json::{Field, Shown, is_well_known};
use crate::render::duration_text;

/// Value of a setting.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Setting {
    pub(crate) json: Json,
    /// Text for people, one per entry of a list.
    pub(crate) texts: Vec<String>,
}

/// The settings of a job that are set, by path.
pub(crate) fn settings(job: &ScheduledJob) -> Result<BTreeMap<String, Setting>, Failure> {
    let mut settings = BTreeMap::new();
    collect(&Shown::new(job)?.into_message(), "", &mut settings)?;
    Ok(settings)
}

/// Fields that a client sets. The contract marks all others.
pub(super) fn settable(descriptor: &MessageDescriptor) -> Vec<FieldDescriptor> {
    descriptor.fields().filter(|field| !is_output_only(field)).collect()
}

pub(super) fn is_output_only(field: &FieldDescriptor) -> bool {
    let file = field.parent_file();
    let comments = file.file_descriptor_proto().source_code_info.as_ref();
    let mut locations = comments.into_iter().flat_map(|comments| &comments.location);
    let own = locations.find(|location| location.path == field.path());
    own.is_some_and(|it| it.leading_comments().trim_start().starts_with("Output only."))
}

/// The descriptor of a message that has fields of its own.
pub(super) fn nested(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    match field.kind() {
        Kind::Message(inner) if !is_well_known(&inner) && !field.is_map() => Some(inner),
        _ => None,
    }
}

pub(super) fn joined(parent: &str, name: &str) -> String {
    if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") }
}

fn collect(
    message: &DynamicMessage,
    parent: &str,
    settings: &mut BTreeMap<String, Setting>,
) -> Result<(), Failure> {
    for field in settable(&message.descriptor()) {
        if !message.has_field(&field) {
            continue;
        }
        let path = joined(parent, field.name());
        match &*message.get_field(&field) {
            Value::Message(inner) if nested(&field).is_some() => collect(inner, &path, settings)?,
            Value::Map(entries) => {
                for (key, value) in entries {
                    let path = joined(&path, key.as_str().unwrap_or_default());
                    settings.insert(path, setting(value, &field)?);
                }
            }
            value => drop(settings.insert(path, setting(value, &field)?)),
        }
    }
    Ok(())
}

fn setting(value: &Value, field: &FieldDescriptor) -> Result<Setting, Failure> {
    let kind = match field.kind() {
        Kind::Message(entry) if field.is_map() => entry.map_entry_value_field().kind(),
        kind => kind,
    };
    let json = serde_json::to_value(Field(value, &kind));
    let json = json.map_err(|error| Failure::Json(error.to_string()))?;
    let texts = match (value, &json) {
        (Value::Message(inner), _) => duration_of(inner).into_iter().collect(),
        (_, Json::Array(items)) => items.iter().map(text).collect(),
        (_, json) => vec![text(json)],
    };
    Ok(Setting { json, texts })
}

/// A duration as a flag accepts it.
pub(super) fn duration_of(message: &DynamicMessage) -> Option<String> {
    if !is_duration(&message.descriptor()) {
        return None;
    }
    let duration: prost_types::Duration = message.transcode_to().ok()?;
    duration.try_into().ok().map(duration_text)
}

fn text(json: &Json) -> String {
    json.as_str().map_or_else(|| json.to_string(), str::to_owned)
}
