//! The way to stdout: text for people, or proto JSON for programs.

use std::io::{self, Write};

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};

use crate::failure::Failure;

/// What `--json` decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    Text,
    Json,
}

impl Output {
    /// Shows an answer. `name` is the message's name in `windrow.v1`; `text` makes the human form.
    pub(crate) fn show<M: Message>(
        self,
        name: &str,
        message: &M,
        text: impl FnOnce(&M) -> String,
    ) -> Result<(), Failure> {
        let shown = match self {
            Self::Json => json(name, message)?,
            Self::Text => text(message),
        };
        Ok(line(&shown)?)
    }
}

/// Writes a line at once, so that a reader of a pipe sees each state when it happens.
pub(crate) fn line(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.write_all(b"\n")?;
    stdout.flush()
}

/// Writes a line to stderr, where hints belong.
pub(crate) fn hint(text: &str) -> io::Result<()> {
    writeln!(io::stderr(), "{text}")
}

/// Proto JSON on one line: snake_case names, RFC 3339 times, every field without presence, numbers
/// as numbers.
pub(crate) fn json<M: Message>(name: &str, message: &M) -> Result<String, Failure> {
    let failed = |error: &dyn std::error::Error| Failure::Json(error.to_string());
    let pool = DescriptorPool::decode(windrow::FILE_DESCRIPTOR_SET).map_err(|e| failed(&e))?;
    let descriptor = pool
        .get_message_by_name(&format!("windrow.v1.{name}"))
        .ok_or_else(|| Failure::Json(format!("there is no message {name}")))?;
    let bytes = message.encode_to_vec();
    let dynamic = DynamicMessage::decode(descriptor, bytes.as_slice()).map_err(|e| failed(&e))?;
    let options = SerializeOptions::new()
        .use_proto_field_name(true)
        .skip_default_fields(false)
        .stringify_64_bit_integers(false);
    let mut serializer = serde_json::Serializer::new(Vec::new());
    dynamic.serialize_with_options(&mut serializer, &options).map_err(|e| failed(&e))?;
    String::from_utf8(serializer.into_inner()).map_err(|e| failed(&e))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use windrow_client::proto;

    use super::*;

    #[test]
    fn json_has_proto_names_times_and_numbers() {
        let run = proto::ScrapingJob {
            job_id: "run".into(),
            status: proto::ScrapingJobStatus::Pending.into(),
            created_at: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
            properties_saved: 7,
            ..Default::default()
        };

        let value: Value = serde_json::from_str(&json("ScrapingJob", &run).unwrap()).unwrap();

        assert_eq!(value["job_id"], "run");
        assert_eq!(value["status"], "SCRAPING_JOB_STATUS_PENDING");
        assert_eq!(value["created_at"], "2023-11-14T22:13:20Z");
        assert_eq!(value["properties_saved"], 7);
        assert_eq!(value["properties_skipped"], 0);
        assert_eq!(value["failed_locations"], Value::Array(vec![]));
        assert_eq!(value.get("completed_at"), None);
    }

    #[test]
    fn an_unknown_name_is_an_error() {
        assert!(json("Nothing", &proto::ScrapingJob::default()).is_err());
    }
}
