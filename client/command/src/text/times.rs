//! Times for people: as they are, how long ago, or both.

use std::time::Duration;

use prost_types::Timestamp;

use super::NONE;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// RFC 3339 without fractions.
pub(super) fn instant(at: &Timestamp) -> String {
    Timestamp { seconds: at.seconds, nanos: 0 }.to_string()
}

/// As it is; a dash if there is none.
pub(super) fn time(at: Option<&Timestamp>) -> String {
    at.map_or_else(|| NONE.to_owned(), instant)
}

/// How long ago, or in what time.
pub(super) fn ago(at: Option<&Timestamp>) -> String {
    at.map_or_else(|| NONE.to_owned(), |at| relative(at.seconds.saturating_sub(now())))
}

/// Both.
pub(super) fn time_and_ago(at: Option<&Timestamp>) -> String {
    match at {
        Some(_) => format!("{} ({})", time(at), ago(at)),
        None => NONE.to_owned(),
    }
}

/// A distance in whole units, the largest that gives two of them; two days are 48 hours.
fn relative(seconds: i64) -> String {
    let distance = seconds.saturating_abs();
    let (count, unit) = match distance {
        seconds if seconds < MINUTE => (seconds, "s"),
        seconds if seconds < HOUR => (seconds / MINUTE, "min"),
        seconds if seconds < 2 * DAY => (seconds / HOUR, "h"),
        seconds => (seconds / DAY, "d"),
    };
    if seconds > 0 { format!("in {count} {unit}") } else { format!("{count} {unit} ago") }
}

/// From one to the other, or until now; a dash without a beginning.
pub(super) fn span(begin: Option<&Timestamp>, end: Option<&Timestamp>) -> String {
    let Some(begin) = begin else { return NONE.to_owned() };
    let end = end.map_or_else(now, |end| end.seconds);
    // Clocks differ: what has just begun there may begin later here.
    let seconds = u64::try_from(end.saturating_sub(begin.seconds)).unwrap_or_default();
    humantime::format_duration(Duration::from_secs(seconds)).to_string()
}

#[expect(clippy::disallowed_methods, reason = "what is long ago is so by the reader's clock")]
fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.ok().and_then(|since| i64::try_from(since.as_secs()).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_in_whole_units() {
        for (seconds, expected) in [
            (0, "0 s ago"),
            (-59, "59 s ago"),
            (61, "in 1 min"),
            (-3_599, "59 min ago"),
            (-7_300, "2 h ago"),
            (47 * HOUR, "in 47 h"),
            (-5 * DAY - 1, "5 d ago"),
        ] {
            assert_eq!(relative(seconds), expected);
        }
    }

    #[test]
    fn what_is_not_there_is_a_dash() {
        assert_eq!(
            (time(None), ago(None), time_and_ago(None)),
            ("-".into(), "-".into(), "-".into())
        );
    }
}
