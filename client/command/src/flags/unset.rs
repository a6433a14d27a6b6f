//! `--unset`: the settings of a job that may be absent, named by their flags.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use windrow_client::proto::ScheduledJob;

use crate::render::{Setting, job_settings};

/// Settings that every job has to have.
const REQUIRED: [&str; 3] = ["name", "cron_expression", "parameters.locations"];

/// Accepts the word of a flag and returns the path of its field.
pub(crate) fn unset() -> impl TypedValueParser<Value = &'static str> {
    let words = optional_settings().map(|setting| setting.word());
    PossibleValuesParser::new(words).try_map(|word| {
        let setting = optional_settings().find(|setting| setting.word() == word);
        setting.map(|setting| setting.path).ok_or_else(|| format!("unknown setting '{word}'"))
    })
}

pub(crate) fn is_optional(path: &str) -> bool {
    !REQUIRED.contains(&path)
}

fn optional_settings() -> impl Iterator<Item = Setting> {
    let settings = job_settings(&ScheduledJob::default()).into_iter();
    settings.filter(|setting| is_optional(setting.path))
}

#[cfg(test)]
mod tests {
    use prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MessageDescriptor};

    use super::*;

    /// Not settings: they say which job is meant.
    const KEYS: [&str; 2] = ["scheduled_job_id", "etag"];

    #[test]
    fn every_optional_setting_of_the_contract_can_be_unset() {
        let pool = DescriptorPool::decode(windrow::FILE_DESCRIPTOR_SET).unwrap();
        let mut paths = Vec::new();
        add_paths(&pool.get_message_by_name("windrow.v1.ScheduledJob").unwrap(), "", &mut paths);
        let known: Vec<_> = optional_settings().map(|setting| setting.path).collect();
        let missing: Vec<_> = paths
            .iter()
            .filter(|path| is_optional(path) && !KEYS.contains(&path.as_str()))
            .filter(|path| !known.contains(&path.as_str()))
            .collect();
        assert!(missing.is_empty(), "no flag unsets {missing:?}");
        assert!(known.len() > 15 && known.iter().all(|path| paths.contains(&(*path).to_owned())));
    }

    fn add_paths(message: &MessageDescriptor, before: &str, paths: &mut Vec<String>) {
        for field in message.fields().filter(|field| !is_output_only(field)) {
            let path = format!("{before}{}", field.name());
            match field.kind() {
                Kind::Message(inner)
                    if inner.package_name() == "windrow.v1" && !inner.is_map_entry() =>
                {
                    add_paths(&inner, &format!("{path}."), paths);
                }
                _ => paths.push(path),
            }
        }
    }

    fn is_output_only(field: &FieldDescriptor) -> bool {
        let file = field.parent_message().parent_file();
        let source = file.file_descriptor_proto().source_code_info.as_ref().unwrap();
        let place = source.location.iter().find(|place| place.path == field.path());
        place.is_some_and(|place| place.leading_comments().contains("Output only"))
    }
}
