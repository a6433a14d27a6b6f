//! Ids, texts, times and durations.

use std::time::Duration;

use chrono::{DateTime, Utc};
use prost_types::{Duration as ProtoDuration, Timestamp};

use crate::app::AppError;
use crate::domain::id::{RunId, ScheduledJobId};
use crate::domain::parameters::LOCATION_LENGTH;
use crate::domain::text::check_storable;
use crate::domain::time;

pub(in crate::grpc) fn scheduled_job_id(
    field: &str,
    text: &str,
) -> Result<ScheduledJobId, AppError> {
    ScheduledJobId::parse(text).map_err(|error| AppError::invalid(field, error.to_string()))
}

/// The id in a field that may be empty.
pub(in crate::grpc) fn optional_scheduled_job_id(
    field: &str,
    text: &str,
) -> Result<Option<ScheduledJobId>, AppError> {
    (!text.is_empty()).then(|| scheduled_job_id(field, text)).transpose()
}

pub(in crate::grpc) fn run_id(field: &str, text: &str) -> Result<RunId, AppError> {
    RunId::parse(text).map_err(|error| AppError::invalid(field, error.to_string()))
}

/// A location, a name or an id, which may be empty: at most 200 characters.
pub(in crate::grpc) fn short_text(field: &str, text: String) -> Result<String, AppError> {
    let text = self::text(field, text)?;
    if text.chars().count() > LOCATION_LENGTH {
        let description = format!("has more than {LOCATION_LENGTH} characters");
        return Err(AppError::invalid(field, description));
    }
    Ok(text)
}

/// A text that Postgres can store. Every text without a stricter rule passes here. It has no limit, so it has to be cut
/// before it is stored.
pub(in crate::grpc) fn text(field: &str, text: String) -> Result<String, AppError> {
    check_storable(&text).map_err(|description| AppError::invalid(field, description))?;
    Ok(text)
}

pub(in crate::grpc) fn duration(
    field: &str,
    duration: Option<ProtoDuration>,
) -> Result<Option<Duration>, AppError> {
    /// The limit of `google.protobuf.Duration`: 10,000 years. Beyond it, the conversion overflows.
    const SECONDS: std::ops::RangeInclusive<i64> = 0..=315_576_000_000;
    let invalid = || AppError::invalid(field, "must be 0 to 10,000 years");
    let convert = |duration: ProtoDuration| {
        let is_valid = SECONDS.contains(&duration.seconds) && duration.nanos >= 0;
        let converted = is_valid.then(|| Duration::try_from(duration).ok()).flatten();
        converted.ok_or_else(invalid)
    };
    duration.map(convert).transpose()
}

/// A time that can be stored and sent back. Leap seconds do not exist in `google.protobuf.Timestamp`.
pub(in crate::grpc) fn time(
    field: &str,
    time: Option<Timestamp>,
) -> Result<Option<DateTime<Utc>>, AppError> {
    const NANOS: u32 = 1_000_000_000;
    let Some(Timestamp { seconds, nanos }) = time else { return Ok(None) };
    let nanos = u32::try_from(nanos).ok().filter(|nanos| *nanos < NANOS);
    let time = nanos.and_then(|nanos| DateTime::from_timestamp(seconds, nanos));
    let description = "must be within the years 1 to 9999 when it is rounded to microseconds";
    let stored = time.and_then(time::stored);
    stored.map(Some).ok_or_else(|| AppError::invalid(field, description))
}

pub(in crate::grpc) fn required_time(
    field: &str,
    time: Option<Timestamp>,
) -> Result<DateTime<Utc>, AppError> {
    self::time(field, time)?.ok_or_else(|| AppError::invalid(field, "is required"))
}

/// Absent above the 10,000 years of `google.protobuf.Duration`, which no duration of ours reaches.
pub(in crate::grpc) fn to_duration(duration: Duration) -> Option<ProtoDuration> {
    ProtoDuration::try_from(duration).ok()
}

pub(in crate::grpc) fn to_time(time: DateTime<Utc>) -> Timestamp {
    // Subsecond nanoseconds are below 2·10^9 even in a leap second, so the conversion cannot fail.
    let nanos = i32::try_from(time.timestamp_subsec_nanos()).unwrap_or(0);
    Timestamp { seconds: time.timestamp(), nanos }
}
