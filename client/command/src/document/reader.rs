//! A tree of values as a scheduled job.

use std::collections::BTreeMap;

use prost::Name;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value};
use windrow_client::proto::ScheduledJob;

use super::fields::{is_output_only, joined, nested};
use super::names::{self, unknown};
use super::yaml::{Content, Entry, Node};
use super::{Document, Fault, Position, scalar};
use crate::failure::Failure;
use crate::json::descriptor;

/// The job that a node describes, or all errors in it.
pub(super) fn job(node: &Node) -> Result<Result<Document, Vec<Fault>>, Failure> {
    let mut reader = Reader::default();
    let message = reader.message(&descriptor::<ScheduledJob>()?, "", node);
    let job: ScheduledJob =
        message.transcode_to().map_err(|error| Failure::Json(error.to_string()))?;
    if job.scheduled_job_id.is_empty() && reader.faults.is_empty() {
        reader.fault(node.at, "scheduled_job_id", "is missing");
    }
    Ok(if reader.faults.is_empty() {
        Ok(Document { job, at: node.at, places: reader.places })
    } else {
        Err(reader.faults)
    })
}

#[derive(Default)]
struct Reader {
    faults: Vec<Fault>,
    places: BTreeMap<String, Position>,
}

impl Reader {
    fn fault(&mut self, at: Position, path: &str, reason: &str) {
        let reason = if path.is_empty() { reason.to_owned() } else { format!("{path}: {reason}") };
        self.faults.push(Fault { at, reason });
    }

    fn message(
        &mut self,
        descriptor: &MessageDescriptor,
        path: &str,
        node: &Node,
    ) -> DynamicMessage {
        let mut message = DynamicMessage::new(descriptor.clone());
        let Content::Map(entries) = &node.content else {
            self.fault(node.at, path, &expected_fields(descriptor, &node.content));
            return message;
        };
        for entry in entries {
            let path = joined(path, &entry.key);
            match descriptor.get_field_by_name(&entry.key) {
                Some(field) if !is_output_only(&field) => {
                    self.places.insert(path.clone(), entry.value.at);
                    if let Some(value) = self.field(&field, &path, entry) {
                        message.set_field(&field, value);
                    }
                }
                Some(_) => self.fault(entry.at, &path, names::OUTPUT_ONLY),
                None => self.fault(entry.at, &path, &unknown(descriptor, &path, &entry.key)),
            }
        }
        message
    }

    /// The value of a field; `None` if it is not set, or wrong.
    fn field(&mut self, field: &FieldDescriptor, path: &str, entry: &Entry) -> Option<Value> {
        let node = &entry.value;
        if matches!(node.content, Content::Null) {
            // An empty value has the place of what follows it.
            self.places.insert(path.to_owned(), entry.at);
            return None;
        }
        if let Some(inner) = nested(field) {
            return Some(Value::Message(self.message(&inner, path, node)));
        }
        match field.kind() {
            Kind::Message(inner) if field.is_map() => {
                self.map(&inner.map_entry_value_field().kind(), path, node)
            }
            kind if field.is_list() => self.list(&kind, path, node),
            kind => self.scalar(&kind, path, node),
        }
    }

    fn map(&mut self, kind: &Kind, path: &str, node: &Node) -> Option<Value> {
        let Content::Map(entries) = &node.content else {
            let reason = match &node.content {
                Content::Text { text, .. } => match text.split_once(['=', ':']) {
                    Some((key, value)) => format!("expected {{{}: {}}}", key.trim(), value.trim()),
                    None => format!("expected fields such as {{{}: value}}", text.trim()),
                },
                _ => "expected fields such as {team: sales}, not a list".to_owned(),
            };
            self.fault(node.at, path, &reason);
            return None;
        };
        let mut values = std::collections::HashMap::new();
        for Entry { key, at, value } in entries {
            let path = joined(path, key);
            self.places.insert(path.clone(), *at);
            if matches!(value.content, Content::Null) {
                self.fault(
                    *at,
                    &path,
                    "has no value; write \"\" for an empty text, and quote ~ and null",
                );
            } else if let Some(value) = self.scalar(kind, &path, value) {
                values.insert(MapKey::String(key.clone()), value);
            }
        }
        Some(Value::Map(values))
    }

    fn list(&mut self, kind: &Kind, path: &str, node: &Node) -> Option<Value> {
        let Content::List { items, is_flow } = &node.content else {
            let reason = match &node.content {
                Content::Text { text, .. } => {
                    format!("expected a list; write [{}]", serde_json::Value::from(text.as_str()))
                }
                _ => "expected a list, one '- value' per line, not fields".to_owned(),
            };
            self.fault(node.at, path, &reason);
            return None;
        };
        let mut values = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let path = format!("{path}[{index}]");
            self.places.insert(path.clone(), item.at);
            let before = index.checked_sub(1).and_then(|before| items.get(before));
            if matches!(item.content, Content::Null) {
                self.fault(item.at, &path, "is empty; quote ~ and null if text is meant");
            } else if let Some(reason) =
                before.filter(|_| *is_flow).and_then(|it| split_place(it, item))
            {
                self.fault(item.at, &path, &reason);
            } else {
                values.extend(self.scalar(kind, &path, item));
            }
        }
        Some(Value::List(values))
    }

    fn scalar(&mut self, kind: &Kind, path: &str, node: &Node) -> Option<Value> {
        let reason = match &node.content {
            Content::Text { text, .. } => match scalar::read(kind, text) {
                Ok(value) => return Some(value),
                Err(reason) => reason,
            },
            Content::Null => "has no value".to_owned(),
            Content::List { .. } => {
                "expected one value, not a list; quote text in brackets".to_owned()
            }
            Content::Map(_) => {
                "expected one value, not fields; quote text that has ': ' or braces".to_owned()
            }
        };
        self.fault(node.at, path, &reason);
        None
    }
}

/// The error of `[Indianapolis, IN]`, which is two locations.
fn split_place(before: &Node, item: &Node) -> Option<String> {
    let plain = |node: &Node| match &node.content {
        Content::Text { text, is_plain: true } => Some(text.clone()),
        _ => None,
    };
    let is_state = |text: &str| text.len() == 2 && text.chars().all(|c| c.is_ascii_uppercase());
    let (city, state) = (plain(before)?, plain(item)?);
    let is_split = is_state(&state) && !is_state(&city) && city.chars().any(char::is_alphabetic);
    is_split.then(|| {
        format!(
            "a comma ends a location: quote \"{city}, {state}\" if it is one, and \"{state}\" if it is a \
             location of its own"
        )
    })
}

fn expected_fields(descriptor: &MessageDescriptor, content: &Content) -> String {
    let is = match content {
        Content::Null => "nothing",
        Content::Text { .. } => "text",
        Content::List { .. } => "a list",
        Content::Map(_) => "fields",
    };
    if descriptor.full_name() == ScheduledJob::full_name() {
        return format!("expected the fields of a scheduled job, but this is {is}");
    }
    format!("expected fields, but this is {is}; fields: {}", names::known(descriptor))
}
