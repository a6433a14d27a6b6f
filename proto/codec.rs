//! The codec of the services: tonic's, which also refuses a request of more parts than any client needs. A request of
//! 4 MB may have two million empty messages, and would take fifty times its size in memory.

use std::collections::HashMap;
use std::sync::LazyLock;

use prost::bytes::Buf;
use prost::{Message, Name};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder};
use tonic::{Code, Status};
use tonic_prost::{ProstDecoder, ProstEncoder};
use tonic_types::{ErrorDetails, StatusExt};

use crate::reason;

/// Maximum number of parts of a request: its fields and those of its messages. The values of bodies do not count: they
/// have a limit of their own.
const MAX_PARTS: usize = 1_000_000;
/// Number of parts as which a message counts in addition to its fields.
const MESSAGE_PARTS: usize = 4;
/// Requests up to this size are not checked.
const SMALL: usize = 16 * 1024;
/// Messages nested deeper are an error for prost.
const MAX_DEPTH: usize = 100;

static TYPES: LazyLock<Types> = LazyLock::new(Types::of_contract);

/// Memory that a call takes before its first message, and the size of a part of a stream. tonic's 8 KiB and 32 KiB are
/// kept by each of thousands of watches after a burst of changes.
const BUFFER: usize = 1024;
const PART: usize = 4 * 1024;

fn buffers() -> BufferSettings {
    BufferSettings::new(BUFFER, PART)
}

/// A codec for messages of the contract.
#[derive(Debug)]
pub(crate) struct BoundedCodec<T, U>(std::marker::PhantomData<(T, U)>);

/// Its decoder.
#[derive(Debug)]
pub(crate) struct BoundedDecoder<U>(ProstDecoder<U>);

impl<T, U> Default for BoundedCodec<T, U> {
    fn default() -> Self {
        Self(std::marker::PhantomData)
    }
}

impl<T, U> Codec for BoundedCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Name + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = BoundedDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::new(buffers())
    }

    fn decoder(&mut self) -> Self::Decoder {
        BoundedDecoder(ProstDecoder::new(buffers()))
    }
}

impl<U: Message + Name + Default> Decoder for BoundedDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        let is_request = U::NAME.ends_with("Request");
        if is_request && buffer.remaining() > SMALL && has_too_many_parts::<U>(buffer.chunk()) {
            return Err(too_many_parts());
        }
        self.0.decode(buffer)
    }

    fn buffer_settings(&self) -> BufferSettings {
        self.0.buffer_settings()
    }
}

fn too_many_parts() -> Status {
    let (field, text) =
        ("request", format!("has more than {MAX_PARTS} parts; send less at a time"));
    let mut details =
        ErrorDetails::with_error_info(reason::INVALID_ARGUMENT, reason::DOMAIN, HashMap::new());
    details.add_bad_request_violation(field, &text);
    Status::with_error_details(Code::InvalidArgument, format!("{field}: {text}"), details)
}

fn has_too_many_parts<U: Name>(message: &[u8]) -> bool {
    let Some(index) = TYPES.indexes.get(&U::full_name()) else { return false };
    let mut parts = Parts { left: MAX_PARTS };
    parts.take(*index, message, 0).is_none()
}

/// The messages of the contract.
struct Types {
    indexes: HashMap<String, usize>,
    /// Numbers and types of the fields that are such messages, by type.
    fields: Vec<Vec<(u64, usize)>>,
}

impl Types {
    fn of_contract() -> Self {
        let files = FileDescriptorSet::decode(crate::FILE_DESCRIPTOR_SET).unwrap_or_default();
        let mut messages = Vec::new();
        for file in files.file.iter().filter(|file| file.package().starts_with("windrow.")) {
            for message in &file.message_type {
                add(file.package(), message, &mut messages);
            }
        }
        let indexes: HashMap<String, usize> =
            messages.iter().enumerate().map(|(index, (name, _))| (name.clone(), index)).collect();
        let field = |field: &FieldDescriptorProto| {
            let index = indexes.get(field.type_name().trim_start_matches('.'))?;
            Some((u64::try_from(field.number()).ok()?, *index))
        };
        let fields = |message: &DescriptorProto| message.field.iter().filter_map(field).collect();
        let fields = messages.iter().map(|(_, message)| fields(message)).collect();
        Self { indexes, fields }
    }

    fn field(&self, message: usize, number: u64) -> Option<usize> {
        let fields = self.fields.get(message)?;
        fields.iter().find(|(known, _)| *known == number).map(|(_, index)| *index)
    }
}

/// The message and those that are declared in it, with their full names.
fn add<'m>(
    scope: &str,
    message: &'m DescriptorProto,
    messages: &mut Vec<(String, &'m DescriptorProto)>,
) {
    let name = format!("{scope}.{}", message.name());
    for nested in &message.nested_type {
        add(&name, nested, messages);
    }
    messages.push((name, message));
}

struct Parts {
    left: usize,
}

impl Parts {
    /// Takes the parts of a message; `None` if there are too many. What prost will refuse is left to it.
    fn take(&mut self, message: usize, mut bytes: &[u8], depth: usize) -> Option<()> {
        while let Some(key) = varint(&mut bytes) {
            self.left = self.left.checked_sub(1)?;
            let length = match key & 7 {
                0 => varint(&mut bytes).map(|_| 0),
                1 => Some(8),
                2 => varint(&mut bytes),
                // Groups, of which the contract has none: their fields are counted as those of the message.
                3 | 4 => Some(0),
                5 => Some(4),
                _ => None,
            };
            let length = length.and_then(|length| usize::try_from(length).ok());
            let content = length.and_then(|length| bytes.split_at_checked(length));
            let Some((content, rest)) = content else { return Some(()) };
            bytes = rest;
            if key & 7 == 2
                && depth < MAX_DEPTH
                && let Some(field) = TYPES.field(message, key >> 3)
            {
                self.left = self.left.checked_sub(MESSAGE_PARTS)?;
                self.take(field, content, depth + 1)?;
            }
        }
        Some(())
    }
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::to_struct;
    use crate::v1::{
        Attempt, AttemptReport, HeartbeatRequest, LeaseScrapingJobsRequest, LocationResult,
        ScrapedProperty, SubmitPropertiesRequest,
    };

    fn is_refused<M: Message + Name>(message: &M) -> bool {
        has_too_many_parts::<M>(&message.encode_to_vec())
    }

    #[test]
    fn requests_of_very_many_empty_messages_are_refused() {
        let count = 1_000_000;
        let properties = vec![ScrapedProperty::default(); count];
        assert!(is_refused(&SubmitPropertiesRequest { properties, ..Default::default() }));
        let held = vec![Attempt::default(); count];
        assert!(is_refused(&LeaseScrapingJobsRequest { held, ..Default::default() }));
        let location_results = vec![LocationResult::default(); count];
        let attempts = vec![AttemptReport { location_results, ..Default::default() }];
        assert!(is_refused(&HeartbeatRequest { attempts, ..Default::default() }));
    }

    #[test]
    fn the_largest_requests_of_the_contract_are_accepted() {
        let body = serde_json::json!({ "list": vec![serde_json::Value::Null; 50_000] });
        let body = to_struct(body.as_object().unwrap().clone());
        let large = ScrapedProperty { body: Some(body), ..Default::default() };
        let properties = vec![large; 20];
        assert!(!is_refused(&SubmitPropertiesRequest { properties, ..Default::default() }));

        let location = "Indianapolis, IN".to_owned();
        let location_results = vec![LocationResult { location, ..Default::default() }; 1_000];
        let report = AttemptReport { location_results, ..Default::default() };
        assert!(!is_refused(&HeartbeatRequest {
            attempts: vec![report; 100],
            ..Default::default()
        }));
    }

    #[test]
    fn broken_messages_are_left_to_prost() {
        for bytes in [&[0x2a_u8, 0xff][..], &[0x2a, 0x05, 0x00], &[0xff; 30], &[0x07]] {
            assert!(!has_too_many_parts::<SubmitPropertiesRequest>(bytes), "{bytes:?}");
        }
    }
}
