//! The way to stdout: text for people, or proto JSON, also as YAML, for programs.

use std::io::{self, BufWriter, Stdout, Write};

use clap::ValueEnum;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions};
use windrow_client::proto;

use crate::failure::Failure;

/// What `--output` decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    #[default]
    Table,
    /// One object a line.
    Json,
    /// One document for each answer.
    Yaml,
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
            Self::Yaml => yaml(&json(name, message)?)?,
            Self::Table => text(message),
        };
        Ok(line(&shown)?)
    }
}

/// The same as a document of YAML.
pub(crate) fn yaml(json: &str) -> Result<String, Failure> {
    let value: serde_json::Value = serde_json::from_str(json).map_err(|e| failed(&e))?;
    let text = serde_saphyr::to_string(&value).map_err(|e| failed(&e))?;
    Ok(format!("---\n{}", text.trim_end()))
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

/// Many messages of one kind to stdout, a line each, without waiting for each to be written.
pub(crate) struct Lines {
    descriptor: MessageDescriptor,
    to: BufWriter<Stdout>,
    count: u64,
}

impl Lines {
    /// For properties.
    pub(crate) fn of_properties() -> Result<Self, Failure> {
        let to = BufWriter::new(io::stdout());
        Ok(Self { descriptor: descriptor("Property")?, to, count: 0 })
    }

    pub(crate) fn write(&mut self, message: &proto::Property) -> Result<(), Failure> {
        let line = described(self.descriptor.clone(), message)?;
        self.to.write_all(line.as_bytes())?;
        self.to.write_all(b"\n")?;
        self.count += 1;
        Ok(())
    }

    /// Writes what is left, and returns how many there were.
    pub(crate) fn finish(mut self) -> Result<u64, Failure> {
        self.to.flush()?;
        Ok(self.count)
    }
}

/// Proto JSON on one line: snake_case names, RFC 3339 times, every field without presence, numbers
/// as numbers.
pub(crate) fn json<M: Message>(name: &str, message: &M) -> Result<String, Failure> {
    described(descriptor(name)?, message)
}

fn descriptor(name: &str) -> Result<MessageDescriptor, Failure> {
    let pool = DescriptorPool::decode(windrow::FILE_DESCRIPTOR_SET).map_err(|e| failed(&e))?;
    let unknown = || Failure::Json(format!("there is no message {name}"));
    pool.get_message_by_name(&format!("windrow.v1.{name}")).ok_or_else(unknown)
}

fn described<M: Message>(descriptor: MessageDescriptor, message: &M) -> Result<String, Failure> {
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

fn failed(error: &dyn std::error::Error) -> Failure {
    Failure::Json(error.to_string())
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
