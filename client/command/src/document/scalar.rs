//! Text as a value of a field.

use prost_reflect::{DynamicMessage, EnumDescriptor, Kind, MessageDescriptor, Value};

use crate::flags::{boolean, duration, integer, number, time};
use crate::json::{enum_prefix, word};

/// Reads text as the flag of such a field reads it.
pub(super) fn read(kind: &Kind, text: &str) -> Result<Value, String> {
    match kind {
        Kind::String => Ok(Value::String(text.to_owned())),
        Kind::Bool => boolean(text).map(Value::Bool),
        Kind::Int32 => integer(text).map(Value::I32),
        Kind::Int64 => integer(text).map(Value::I64),
        Kind::Double => number(text).map(Value::F64),
        Kind::Enum(descriptor) => enum_value(descriptor, text),
        Kind::Message(descriptor) if is_duration(descriptor) => {
            message(descriptor, &duration(text)?)
        }
        Kind::Message(descriptor) if descriptor.full_name() == "google.protobuf.Timestamp" => {
            message(descriptor, &time(text)?)
        }
        _ => Err("cannot be set in a file".to_owned()),
    }
}

pub(super) fn is_duration(descriptor: &MessageDescriptor) -> bool {
    descriptor.full_name() == "google.protobuf.Duration"
}

fn message(descriptor: &MessageDescriptor, value: &impl prost::Message) -> Result<Value, String> {
    let bytes = value.encode_to_vec();
    let message = DynamicMessage::decode(descriptor.clone(), bytes.as_slice());
    message.map(Value::Message).map_err(|error| error.to_string())
}

/// The word of a flag, or the name in the contract.
fn enum_value(descriptor: &EnumDescriptor, text: &str) -> Result<Value, String> {
    let prefix = enum_prefix(descriptor);
    let word = |name: &str| word(name, &prefix);
    let is_meant = |name: &str| name == text || word(name) == text;
    let known: Vec<_> =
        descriptor.values().filter(|value| word(value.name()) != "unspecified").collect();
    if let Some(value) = known.iter().find(|value| is_meant(value.name())) {
        return Ok(Value::EnumNumber(value.number()));
    }
    let words: Vec<_> = known.iter().map(|value| word(value.name())).collect();
    Err(format!("unknown value '{text}'; expected one of {}", words.join(", ")))
}
