//! Durations as text in stored JSON, in the protobuf JSON form: seconds with up to nine decimals and an
//! `s`, such as `0.25s`. For `#[serde(with = ...)]` on optional durations.

use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::Serializer;

#[expect(clippy::ref_option, reason = "serde passes the field by reference")]
pub(super) fn serialize<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match duration {
        Some(duration) => serializer.serialize_some(&write(*duration)),
        None => serializer.serialize_none(),
    }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    let parse = |text: String| {
        read(&text).ok_or_else(|| D::Error::custom(format!("'{text}' is not a duration")))
    };
    text.map(parse).transpose()
}

fn write(duration: Duration) -> String {
    let decimals = format!("{:09}", duration.subsec_nanos());
    match decimals.trim_end_matches('0') {
        "" => format!("{}s", duration.as_secs()),
        decimals => format!("{}.{decimals}s", duration.as_secs()),
    }
}

fn read(text: &str) -> Option<Duration> {
    let number = text.strip_suffix('s')?;
    let (seconds, decimals) = number.split_once('.').unwrap_or((number, ""));
    let nanos = format!("{decimals:0<9}").parse().ok()?;
    Some(Duration::new(seconds.parse().ok()?, nanos))
}
