//! The period of `@every`, as in Go's robfig/cron: `30s`, `1h30m`. Ticks are the multiples of the period
//! since the Unix epoch, so that every server computes the same ones, whatever the zone.

use chrono::{DateTime, Utc};

use super::ScheduleError;

/// Shortest period, in seconds: schedules are checked once a second.
const SHORTEST: i64 = 1;
/// Longest period, in seconds: 366 days, so that a schedule is due at least once in a leap year.
const LONGEST: i64 = 366 * 24 * 60 * 60;

/// A period of whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Period {
    seconds: i64,
}

impl Period {
    /// Parses whole numbers with the units `h`, `m` and `s`, which add up.
    pub(super) fn parse(text: &str) -> Result<Self, ScheduleError> {
        let malformed = || ScheduleError::MalformedPeriod { text: text.to_owned() };
        let out_of_range = || ScheduleError::PeriodOutOfRange { text: text.to_owned() };
        if !text.ends_with(|unit| unit_seconds(unit).is_some()) {
            return Err(malformed());
        }
        let mut seconds: i64 = 0;
        for part in text.split_inclusive(|c: char| !c.is_ascii_digit()) {
            let unit = part.chars().next_back().and_then(unit_seconds).ok_or_else(malformed)?;
            let digits = part.get(..part.len() - 1).filter(|digits| !digits.is_empty());
            let number = digits.ok_or_else(malformed)?;
            let number: i64 = number.parse().map_err(|_| out_of_range())?;
            let length = number.checked_mul(unit).ok_or_else(out_of_range)?;
            seconds = seconds.checked_add(length).ok_or_else(out_of_range)?;
        }
        if !(SHORTEST..=LONGEST).contains(&seconds) {
            return Err(out_of_range());
        }
        Ok(Self { seconds })
    }

    /// The first multiple strictly after `after`.
    pub(super) fn next_after(self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let number = after.timestamp().div_euclid(self.seconds).checked_add(1)?;
        DateTime::from_timestamp(number.checked_mul(self.seconds)?, 0)
    }
}

fn unit_seconds(unit: char) -> Option<i64> {
    match unit {
        'h' => Some(3_600),
        'm' => Some(60),
        's' => Some(1),
        _ => None,
    }
}
