//! Messages of the contract as JSON: proto JSON with `snake_case` names, 64-bit integers as numbers, whole numbers
//! without a fraction (`250000`, not `250000.0`), and enum values as the words that flags and filters use
//! (`completed`, not `SCRAPING_JOB_STATUS_COMPLETED`).

pub(crate) mod text;

use std::sync::LazyLock;

use prost::{Message, Name};
use prost_reflect::{
    DescriptorError, DescriptorPool, DynamicMessage, EnumDescriptor, Kind, MapKey,
    MessageDescriptor, ReflectMessage, SerializeOptions, Value,
};
use serde::ser::{Error, Serialize, SerializeMap, Serializer};

use crate::failure::Failure;

static POOL: LazyLock<Result<DescriptorPool, DescriptorError>> =
    LazyLock::new(|| DescriptorPool::decode(windrow::FILE_DESCRIPTOR_SET));

/// A message that serializes as described above: every field without presence, and of the others those that
/// are set.
pub(crate) struct Shown(DynamicMessage);

impl Shown {
    pub(crate) fn new<M: Message + Name>(message: &M) -> Result<Self, Failure> {
        let bytes = message.encode_to_vec();
        let dynamic = DynamicMessage::decode(descriptor::<M>()?, bytes.as_slice());
        Ok(Self(dynamic.map_err(failed)?))
    }

    pub(crate) fn into_message(self) -> DynamicMessage {
        self.0
    }
}

pub(crate) fn to_json<M: Message + Name>(message: &M) -> Result<String, Failure> {
    text::line(&Shown::new(message)?).map_err(failed)
}

/// The word of an enum value: its name without the prefix of the enum, in lower case.
pub(crate) fn word(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_lowercase()
}

pub(crate) fn descriptor<M: Name>() -> Result<MessageDescriptor, Failure> {
    let pool = POOL.as_ref().map_err(failed)?;
    let name = M::full_name();
    let unknown = || Failure::Json(format!("the contract has no message {name}"));
    pool.get_message_by_name(&name).ok_or_else(unknown)
}

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        message(&self.0, serializer)
    }
}

fn message<S: Serializer>(message: &DynamicMessage, serializer: S) -> Result<S::Ok, S::Error> {
    let descriptor = message.descriptor();
    match descriptor.full_name() {
        "google.protobuf.Struct" => return json(message, windrow::json::from_struct, serializer),
        "google.protobuf.Value" => return json(message, windrow::json::from_value, serializer),
        _ if is_well_known(&descriptor) => {
            return message.serialize_with_options(serializer, &SerializeOptions::new());
        }
        _ => {}
    }
    let mut map = serializer.serialize_map(None)?;
    for field in descriptor.fields() {
        if !field.supports_presence() || message.has_field(&field) {
            let kind = field.kind();
            map.serialize_entry(field.name(), &Field(&message.get_field(&field), &kind))?;
        }
    }
    map.end()
}

/// A message that contains JSON.
fn json<M: Message + Default, J: Serialize, S: Serializer>(
    message: &DynamicMessage,
    convert: fn(M) -> Result<J, windrow::json::NotFinite>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let message = message.transcode_to().map_err(Error::custom)?;
    convert(message).map_err(Error::custom)?.serialize(serializer)
}

/// A value and its type.
pub(crate) struct Field<'a>(pub(crate) &'a Value, pub(crate) &'a Kind);

impl Serialize for Field<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Bool(is) => serializer.serialize_bool(*is),
            Value::I32(number) => serializer.serialize_i32(*number),
            Value::I64(number) => serializer.serialize_i64(*number),
            Value::U32(number) => serializer.serialize_u32(*number),
            Value::U64(number) => serializer.serialize_u64(*number),
            Value::F32(number) => serializer.serialize_f32(*number),
            Value::F64(number) => match windrow::json::from_double(*number) {
                Ok(number) => number.serialize(serializer),
                Err(windrow::json::NotFinite) => serializer.serialize_f64(*number),
            },
            Value::String(text) => serializer.serialize_str(text),
            Value::Bytes(bytes) => serializer.serialize_bytes(bytes),
            Value::EnumNumber(number) => enum_word(self.1, *number, serializer),
            Value::Message(value) => message(value, serializer),
            Value::List(items) => {
                serializer.collect_seq(items.iter().map(|item| Field(item, self.1)))
            }
            Value::Map(entries) => {
                let value_kind = match self.1 {
                    Kind::Message(entry) => entry.map_entry_value_field().kind(),
                    other => other.clone(),
                };
                // Maps of the contract have string keys. Sorted, so that equal messages look equal.
                let mut sorted: Vec<_> = entries.iter().collect();
                sorted.sort_by_key(|(key, _)| *key);
                let text = |key: &MapKey| key.as_str().unwrap_or_default().to_owned();
                let entry = |(key, value)| (text(key), Field(value, &value_kind));
                serializer.collect_map(sorted.into_iter().map(entry))
            }
        }
    }
}

fn enum_word<S: Serializer>(kind: &Kind, number: i32, serializer: S) -> Result<S::Ok, S::Error> {
    let value = kind.as_enum().and_then(|descriptor| {
        Some((descriptor.get_value(number)?.name().to_owned(), enum_prefix(descriptor)))
    });
    match value {
        Some((name, prefix)) => serializer.serialize_str(&word(&name, &prefix)),
        // A value of a newer server.
        None => serializer.serialize_i32(number),
    }
}

/// `SCRAPING_JOB_STATUS_` of an enum whose zero value is `SCRAPING_JOB_STATUS_UNSPECIFIED`.
pub(crate) fn enum_prefix(descriptor: &EnumDescriptor) -> String {
    let zero = descriptor.default_value();
    zero.name().trim_end_matches("UNSPECIFIED").to_owned()
}

/// Types with a JSON form of their own, such as timestamps.
pub(crate) fn is_well_known(descriptor: &MessageDescriptor) -> bool {
    descriptor.package_name() == "google.protobuf"
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::Json(error.to_string())
}

#[cfg(test)]
mod tests;
