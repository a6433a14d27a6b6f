//! Values of flags: enum words, times, durations and labels.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use prost_types::Timestamp;
use windrow_client::proto::{
    CatchUpMode, ListingType, OverlapPolicy, ScheduledJobStatus, ScrapingJobLogLevel,
    ScrapingJobPriority, ScrapingJobStatus,
};

/// Parses a word as the enum value whose name is the prefix and the word.
fn word<E: Clone + Send + Sync + 'static>(
    words: &'static [&'static str],
    prefix: &'static str,
    parse: fn(&str) -> Option<E>,
) -> impl TypedValueParser<Value = E> {
    PossibleValuesParser::new(words).try_map(move |word| {
        parse(&format!("{prefix}_{}", word.to_uppercase()))
            .ok_or_else(|| format!("unknown value '{word}'"))
    })
}

pub(crate) fn priority() -> impl TypedValueParser<Value = ScrapingJobPriority> {
    let words = &["low", "normal", "high", "immediate"];
    word(words, "SCRAPING_JOB_PRIORITY", ScrapingJobPriority::from_str_name)
}

pub(crate) fn scheduled_job_status() -> impl TypedValueParser<Value = ScheduledJobStatus> {
    let words = &["active", "paused", "inactive"];
    word(words, "SCHEDULED_JOB_STATUS", ScheduledJobStatus::from_str_name)
}

pub(crate) fn scraping_job_status() -> impl TypedValueParser<Value = ScrapingJobStatus> {
    let words = &["pending", "running", "completed", "failed", "cancelled"];
    word(words, "SCRAPING_JOB_STATUS", ScrapingJobStatus::from_str_name)
}

pub(crate) fn log_level() -> impl TypedValueParser<Value = ScrapingJobLogLevel> {
    let words = &["debug", "info", "warning", "error"];
    word(words, "SCRAPING_JOB_LOG_LEVEL", ScrapingJobLogLevel::from_str_name)
}

pub(crate) fn overlap() -> impl TypedValueParser<Value = OverlapPolicy> {
    let words = &["skip", "queue", "allow", "cancel_running"];
    word(words, "OVERLAP_POLICY", OverlapPolicy::from_str_name)
}

pub(crate) fn catch_up_mode() -> impl TypedValueParser<Value = CatchUpMode> {
    word(&["latest_only", "skip", "all"], "CATCH_UP_MODE", CatchUpMode::from_str_name)
}

pub(crate) fn listing_type() -> impl TypedValueParser<Value = ListingType> {
    let words = &["for_sale", "for_rent", "sold", "pending"];
    word(words, "LISTING_TYPE", ListingType::from_str_name)
}

/// RFC 3339; a time without a zone is in UTC.
pub(crate) fn time(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| {
        "expected a time such as 2026-12-01T06:00:00Z or 2026-12-01T01:00:00-05:00".to_owned()
    })
}

pub(crate) fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE, for example team=sales")?;
    Ok((key.to_owned(), value.to_owned()))
}

pub(crate) fn duration(text: &str) -> Result<prost_types::Duration, String> {
    let duration = humantime::parse_duration(text)
        .map_err(|error| format!("expected a duration such as 90s, 30m or 7d: {error}"))?;
    duration.try_into().map_err(|_| "too long".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_without_a_zone_is_in_utc() {
        for text in ["1970-01-01T01:00:00+01:00", "1970-01-01T00:00:00", "1970-01-01"] {
            assert_eq!(time(text).unwrap().seconds, 0, "{text}");
        }
        assert!(time("tomorrow").unwrap_err().contains("expected a time such as"));
    }

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration("1m 30s").unwrap().seconds, 90);
        assert!(duration("7").unwrap_err().contains("such as 90s"));
    }
}
