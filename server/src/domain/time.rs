//! Times that every part of the system can represent.

use chrono::{DateTime, Datelike, SubsecRound, Utc};

/// Years of `google.protobuf.Timestamp` and of RFC 3339. Postgres and chrono have more.
const YEARS: std::ops::RangeInclusive<i32> = 1..=9999;
/// Postgres stores microseconds.
const SUBSECOND_DIGITS: u16 = 6;

/// The time as it is stored, rounded to microseconds; `None` if it is then outside of the years 1 to 9999. Every time
/// from outside passes here.
pub fn stored(time: DateTime<Utc>) -> Option<DateTime<Utc>> {
    // The ends of chrono's calendar cannot be rounded.
    let near = |time: &DateTime<Utc>| YEARS.contains(&time.year());
    Some(time).filter(near).map(|time| time.round_subsecs(SUBSECOND_DIGITS)).filter(near)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_rounded_to_microseconds_and_within_the_years_of_protobuf() {
        let check = |text: &str, expected: Option<&str>| {
            let time = text.parse().unwrap();
            assert_eq!(stored(time), expected.map(|text| text.parse().unwrap()), "{text}");
        };
        check("2026-01-01T00:00:00.1234564Z", Some("2026-01-01T00:00:00.123456Z"));
        check("2026-01-01T00:00:00.1234567Z", Some("2026-01-01T00:00:00.123457Z"));
        check("2026-01-01T00:00:59.9999999Z", Some("2026-01-01T00:01:00Z"));
        check("0001-01-01T00:00:00Z", Some("0001-01-01T00:00:00Z"));
        check("0000-12-31T23:59:59Z", None);
        check("9999-12-31T23:59:59.9999994Z", Some("9999-12-31T23:59:59.999999Z"));
        check("9999-12-31T23:59:59.9999995Z", None);
        check("9999-12-31T23:59:59-05:00", None);
        assert_eq!(stored(DateTime::<Utc>::MAX_UTC), None);
        assert_eq!(stored(DateTime::<Utc>::MIN_UTC), None);
    }
}
