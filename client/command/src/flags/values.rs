//! Values of flags: enum words, times, durations and labels.

use std::collections::BTreeSet;
use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use prost_types::Timestamp;
use windrow_client::proto::{
    CatchUpMode, ListingType, OverlapPolicy, ScheduledJobStatus, ScrapingJobLogLevel,
    ScrapingJobPriority, ScrapingJobStatus,
};

use crate::failure::Failure;

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

/// Rejects a key that is given twice, of which only one value would count.
pub(crate) fn check_labels(labels: &[(String, String)]) -> Result<(), Failure> {
    let keys: BTreeSet<&str> = labels.iter().map(|(key, _)| key.as_str()).collect();
    let repeated = "--label gives a key twice; a label has one value";
    if keys.len() == labels.len() { Ok(()) } else { Err(Failure::Usage(repeated)) }
}

pub(crate) fn duration(text: &str) -> Result<prost_types::Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| {
        let cause = match error {
            humantime::DurationError::Empty => "it is empty".to_owned(),
            humantime::DurationError::UnknownUnit { unit, value, .. } if unit.is_empty() => {
                format!("a unit is missing; {value} seconds are {value}s")
            }
            error => error.to_string(),
        };
        format!("expected a duration such as 90s, 30m or 7d: {cause}")
    })?;
    duration.try_into().map_err(|_| "too long".to_owned())
}

/// Also the words that YAML 1.1 reads.
pub(crate) fn boolean(text: &str) -> Result<bool, String> {
    match text.to_lowercase().as_str() {
        "true" | "yes" | "on" => Ok(true),
        "false" | "no" | "off" => Ok(false),
        _ => Err("expected true or false".to_owned()),
    }
}

/// Only digits, so that it is the same number to everybody: to some, `010` is 8.
pub(crate) fn integer<N: FromStr>(text: &str) -> Result<N, String> {
    let expected = || "expected a whole number such as 7, in digits only".to_owned();
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.chars().all(|c| c.is_ascii_digit()) {
        return Err(expected());
    }
    without_leading_zero(digits)?;
    text.parse().map_err(|_| "the number is too large".to_owned())
}

pub(crate) fn number(text: &str) -> Result<f64, String> {
    without_leading_zero(text.trim_start_matches(['-', '+']))?;
    let number = text.parse().ok().filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| "expected a number such as 2.5".to_owned())
}

fn without_leading_zero(digits: &str) -> Result<(), String> {
    let is_led =
        digits.strip_prefix('0').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    if is_led { Err("a number must not start with 0".to_owned()) } else { Ok(()) }
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
        assert_eq!(duration("1.500s").unwrap().nanos, 500_000_000);
        assert!(duration("7").unwrap_err().contains("7 seconds are 7s"));
        assert!(duration("").unwrap_err().contains("such as 90s"));
        for text in ["-5m", "PT5M", "1:30", "5 parsecs", "1e3s"] {
            assert!(duration(text).unwrap_err().contains("such as 90s"), "{text}");
        }
    }

    #[test]
    fn numbers_and_booleans_have_one_meaning() {
        assert_eq!((integer("-7"), integer("0")), (Ok(-7_i32), Ok(0)));
        for text in ["", "-", "010", "0x10", "1_000", "1e3", "3.0", "+7", " 7", "4294967296", "٣"]
        {
            assert!(integer::<i32>(text).is_err(), "{text}");
        }
        assert_eq!((number("2.5"), number("1e1"), number("0.5")), (Ok(2.5), Ok(10.0), Ok(0.5)));
        for text in ["", "nan", "inf", "1e999", "010", "0x10", "1_000", "2,5"] {
            assert!(number(text).is_err(), "{text}");
        }
        assert_eq!(
            (boolean("On"), boolean("no"), boolean("TRUE")),
            (Ok(true), Ok(false), Ok(true))
        );
        assert!(boolean("y").is_err() && boolean("1").is_err());
    }
}
