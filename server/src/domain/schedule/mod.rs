//! Ticks of a cron expression in a time zone, or of a fixed period.
//!
//! Promises: ticks are strictly increasing, and their instants do not depend on the instant from which a
//! caller asks. Clock changes follow Debian's cron(8): an expression whose minute or hour field starts
//! with `*` follows the clock (no tick in the gap, two in the fold); every other expression has exactly
//! one tick (at the first instant after the gap, at the first of the two in the fold). Ticks that land on
//! one instant are one tick. `@every` ignores zone and clock changes.
//!
//! Pure: no clock and no I/O. The watermark, not this module, decides which ticks are due. The years 1970
//! to 2100 are supported, which are the years of the `cron` crate.

mod days;
mod error;
mod field;
mod interval;
mod parser;
mod pattern;
mod period;
mod wall_clock;
mod wall_clock_ticks;
mod warnings;

#[cfg(test)]
mod tests;

use chrono::{DateTime, Datelike, NaiveDateTime, TimeDelta, Utc};
use jiff::tz::TimeZone;

pub use self::error::ScheduleError;
use self::parser::Expression;
use self::period::Period;
use self::wall_clock::wall_at;
use self::wall_clock_ticks::WallClockTicks;
use crate::domain::time_zones::{TimeZones, time_zones};

/// The last year with ticks, as in the `cron` crate.
const LAST_YEAR: i32 = 2100;

/// A cron expression in a time zone, or a period.
#[derive(Clone, Debug)]
pub struct Schedule {
    cron_expression: String,
    timezone: String,
    zone: TimeZone,
    ticks: Ticks,
}

#[derive(Clone, Debug)]
enum Ticks {
    /// Named wall-clock times.
    WallClock(Box<WallClockTicks>),
    /// Multiples of a period.
    Every(Period),
    /// The stored expression or zone is invalid.
    Never,
}

/// A nominal instant at which a schedule is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    pub tick_at: DateTime<Utc>,
    /// The wall-clock time that the expression names. Clocks show it at `tick_at`, unless the shift is
    /// [`Shift::GapMoved`]: then it is the earliest named time in the gap.
    pub local_time: NaiveDateTime,
    /// Effect of a clock change on the tick.
    pub shift: Shift,
}

/// Effect of a clock change on a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shift {
    /// None: clocks show the local time once, or the schedule does not depend on clocks.
    None,
    /// Clocks skip the local time; the tick is at the first instant after the gap.
    GapMoved,
    /// Clocks show the local time twice; the tick is at the first of the two.
    FoldFirst,
    /// Clocks show the local time twice; the tick is at the second of the two.
    FoldSecond,
}

impl Schedule {
    /// Parses five-field Unix cron, a nickname such as `@daily` or a period such as `@every 90s`, and the
    /// IANA name of a zone (case-sensitive; empty means UTC), with the rules in use.
    pub fn parse(cron_expression: &str, timezone: &str) -> Result<Self, ScheduleError> {
        Self::parse_in(&time_zones(), cron_expression, timezone)
    }

    /// Like [`Self::parse`], with these rules of time zones.
    pub fn parse_in(
        zones: &TimeZones,
        cron_expression: &str,
        timezone: &str,
    ) -> Result<Self, ScheduleError> {
        let expression = parser::parse(cron_expression)?;
        let timezone = if timezone.is_empty() { "UTC" } else { timezone };
        let zone = zones.get(timezone).ok_or_else(|| ScheduleError::UnknownTimezone {
            name: timezone.chars().take(64).collect(),
        })?;
        let ticks = match expression {
            Expression::Cron(fields) => {
                Ticks::WallClock(Box::new(WallClockTicks::new(&fields, zone.clone())?))
            }
            Expression::Every(period) => Ticks::Every(period),
        };
        Ok(Self {
            cron_expression: cron_expression.to_owned(),
            timezone: timezone.to_owned(),
            zone,
            ticks,
        })
    }

    /// A schedule without ticks for stored texts that are invalid, for example after a manual edit.
    pub fn unreadable(cron_expression: String, timezone: String) -> Self {
        Self { cron_expression, timezone, zone: TimeZone::UTC, ticks: Ticks::Never }
    }

    /// The expression as the caller wrote it.
    pub fn cron_expression(&self) -> &str {
        &self.cron_expression
    }

    /// The IANA name of the zone; `UTC` if the caller named none.
    pub fn timezone(&self) -> &str {
        &self.timezone
    }

    /// The first tick strictly after `after`; `None` if there is none up to the end of 2100.
    pub fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.tick_after(after).map(|tick| tick.tick_at)
    }

    /// The reason why ticks end, as a phrase; `None` if there are none at all.
    pub fn end(&self) -> Option<String> {
        match &self.ticks {
            Ticks::WallClock(_) | Ticks::Every(_) => {
                Some(format!("ticks are computed up to the end of the year {LAST_YEAR}"))
            }
            Ticks::Never => None,
        }
    }

    /// All ticks strictly after `after`, in strictly increasing order.
    pub fn ticks_after(&self, after: DateTime<Utc>) -> impl Iterator<Item = Tick> {
        let next = |tick: &Tick| self.tick_after(tick.tick_at);
        std::iter::successors(self.tick_after(after), next)
    }

    /// The tick at exactly `instant`, if there is one.
    pub fn tick_at(&self, instant: DateTime<Utc>) -> Option<Tick> {
        let just_before = instant.checked_sub_signed(TimeDelta::microseconds(1))?;
        self.tick_after(just_before).filter(|tick| tick.tick_at == instant)
    }

    /// Named wall-clock times after `after` and up to `until` that clocks skip and that therefore have no
    /// tick; at most `limit`. Visits every named time in between: keep the interval short.
    pub fn skipped_in(
        &self,
        after: DateTime<Utc>,
        until: DateTime<Utc>,
        limit: usize,
    ) -> Vec<NaiveDateTime> {
        match &self.ticks {
            Ticks::WallClock(ticks) => ticks.skipped_in(after, until, limit),
            Ticks::Every(_) | Ticks::Never => Vec::new(),
        }
    }

    fn tick_after(&self, after: DateTime<Utc>) -> Option<Tick> {
        if after.year() > LAST_YEAR {
            return None;
        }
        let after = after.max(DateTime::UNIX_EPOCH);
        match &self.ticks {
            Ticks::WallClock(ticks) => ticks.next_after(after),
            Ticks::Every(period) => {
                let tick_at = period.next_after(after).filter(|tick| tick.year() <= LAST_YEAR)?;
                let local_time = wall_at(&self.zone, tick_at);
                Some(Tick { tick_at, local_time, shift: Shift::None })
            }
            Ticks::Never => None,
        }
    }
}
