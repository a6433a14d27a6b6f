//! Tells when a cron expression is due in a time zone.
//!
//! Promises: ticks come in strictly increasing order, every caller sees the same ones whatever
//! instant it asks from, and clock changes follow Debian's cron(8): an expression whose minute or
//! hour field starts with `*` follows the clock (nothing in the gap, both times in the fold); every
//! other runs exactly once (at the first instant after the gap, at the first of the two in the
//! fold). Ticks that land on one instant are one tick.
//!
//! Pure: no clock and no I/O. Leaves out which ticks to act on; that is the watermark's business.
//! Knows the years 1970 to 2100, which are the years of the `cron` crate.

mod days;
mod error;
mod field;
mod interval;
mod parser;
mod pattern;
mod wall_clock;

#[cfg(test)]
mod tests;

use std::time::Duration;

use chrono::{DateTime, Datelike, NaiveDateTime, TimeDelta, Utc};
use chrono_tz::Tz;

pub use self::error::ScheduleError;
use self::parser::Expression;
use self::pattern::Pattern;
use self::wall_clock::{Instants, gap_end, instants, wall_at};

/// Nothing is due after this year; the last that the `cron` crate knows.
const LAST_YEAR: i32 = 2100;

/// A cron expression in a time zone.
#[derive(Clone, Debug)]
pub struct Schedule {
    cron_expression: String,
    timezone: String,
    zone: Tz,
    pattern: Pattern,
    rule: ClockRule,
    /// Overrides the expression in tests.
    every: Option<TimeDelta>,
    /// It stands for one that cannot be read.
    is_unreadable: bool,
}

/// A nominal instant at which a schedule is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// When the schedule is due.
    pub tick_at: DateTime<Utc>,
    /// The wall-clock time that the expression names. Clocks show it at `tick_at`, unless the shift
    /// is [`Shift::GapMoved`]: then it is the earliest named time that they skipped.
    pub local_time: NaiveDateTime,
    /// What a clock change did to the tick.
    pub shift: Shift,
}

/// What a clock change did to a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shift {
    /// Clocks show the local time once.
    None,
    /// Clocks skip the local time; the tick is at the first instant after the gap.
    GapMoved,
    /// Clocks show the local time twice; the tick is at the first of the two.
    FoldFirst,
    /// Clocks show the local time twice; the tick is at the second of the two.
    FoldSecond,
}

/// What clock changes mean to a schedule, by cron(8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClockRule {
    /// Minute or hour is a wildcard: due whenever clocks show a named time.
    FollowsClock,
    /// A certain time of day: due once for each named time, clock change or not.
    ExactlyOnce,
}

impl Schedule {
    /// Reads five-field Unix cron or a nickname such as `@daily`, and an IANA zone name (which
    /// minds case; empty is UTC).
    pub fn parse(cron_expression: &str, timezone: &str) -> Result<Self, ScheduleError> {
        let expression = parser::parse(cron_expression)?;
        let timezone = if timezone.is_empty() { "UTC" } else { timezone };
        let zone = timezone
            .parse()
            .map_err(|_| ScheduleError::UnknownTimezone { name: timezone.to_owned() })?;
        Ok(Self {
            cron_expression: cron_expression.to_owned(),
            timezone: timezone.to_owned(),
            zone,
            pattern: Pattern::new(&expression)?,
            rule: ClockRule::of(&expression),
            every: None,
            is_unreadable: false,
        })
    }

    /// Stands for texts that cannot be read, as what is stored may be after a change by hand: never due.
    #[must_use]
    pub fn in_place_of(self, cron_expression: String, timezone: String) -> Self {
        Self { cron_expression, timezone, is_unreadable: true, ..self }
    }

    /// The same schedule made due at every multiple of `period`, whatever the expression says: for
    /// tests, which cannot wait for minutes. A period under a second counts as one.
    #[must_use]
    pub fn sped_up(self, period: Duration) -> Self {
        let seconds = i64::try_from(period.as_secs()).unwrap_or(i64::MAX).clamp(1, 86_400);
        Self { every: Some(TimeDelta::seconds(seconds)), ..self }
    }

    /// The expression as it was given.
    pub fn cron_expression(&self) -> &str {
        &self.cron_expression
    }

    /// The IANA name of the zone; `UTC` when none was given.
    pub fn timezone(&self) -> &str {
        &self.timezone
    }

    /// The first tick strictly after `after`; `None` when there is none before the year 2101.
    pub fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.tick_after(after).map(|tick| tick.tick_at)
    }

    /// All ticks strictly after `after`, in strictly increasing order.
    pub fn ticks_after(&self, after: DateTime<Utc>) -> impl Iterator<Item = Tick> {
        let next = |tick: &Tick| self.tick_after(tick.tick_at);
        std::iter::successors(self.tick_after(after), next)
    }

    /// The tick at exactly `instant`, if the schedule is due then.
    pub fn tick_at(&self, instant: DateTime<Utc>) -> Option<Tick> {
        let just_before = instant.checked_sub_signed(TimeDelta::microseconds(1))?;
        self.tick_after(just_before).filter(|tick| tick.tick_at == instant)
    }

    /// The named wall-clock times after `after` and not after `until` that clocks skip, so that there is no
    /// tick; `limit` of them at most. Looks at each tick between, so keep the interval short.
    pub fn skipped_in(
        &self,
        after: DateTime<Utc>,
        until: DateTime<Utc>,
        limit: usize,
    ) -> Vec<NaiveDateTime> {
        if self.rule == ClockRule::ExactlyOnce || self.every.is_some() || self.is_unreadable {
            return Vec::new();
        }
        let last = wall_at(self.zone, until);
        let next = |wall: &NaiveDateTime| self.pattern.next_after(*wall);
        std::iter::successors(self.pattern.next_after(wall_at(self.zone, after)), next)
            .take_while(|wall| *wall <= last)
            .filter(|wall| matches!(instants(self.zone, *wall), Instants::Gap))
            .take(limit)
            .collect()
    }

    fn tick_after(&self, after: DateTime<Utc>) -> Option<Tick> {
        if after.year() > LAST_YEAR || self.is_unreadable {
            return None;
        }
        let after = after.max(DateTime::UNIX_EPOCH);
        if let Some(period) = self.every {
            return multiple_after(period, after);
        }
        let ahead = self.tick_ahead(after);
        match self.rule {
            ClockRule::ExactlyOnce => ahead,
            ClockRule::FollowsClock => {
                let again = self.tick_shown_again(after);
                again.into_iter().chain(ahead).min_by_key(|tick| tick.tick_at)
            }
        }
    }

    /// The first tick whose local time is later than what clocks show at `after`.
    ///
    /// Passes over the named times of one gap or one fold at most: a few hundred at worst.
    fn tick_ahead(&self, after: DateTime<Utc>) -> Option<Tick> {
        let mut wall = self.pattern.next_after(wall_at(self.zone, after))?;
        loop {
            if let Some(tick) = self.tick_at_wall(wall, after) {
                return Some(tick);
            }
            wall = self.pattern.next_after(wall)?;
        }
    }

    /// The tick that `wall` stands for, if it is after `after`; in a fold the earlier such.
    fn tick_at_wall(&self, wall: NaiveDateTime, after: DateTime<Utc>) -> Option<Tick> {
        let (tick_at, shift) = match (instants(self.zone, wall), self.rule) {
            (Instants::One(instant), _) => (instant, Shift::None),
            (Instants::Gap, ClockRule::ExactlyOnce) => (gap_end(self.zone, wall), Shift::GapMoved),
            (Instants::Gap, ClockRule::FollowsClock) => return None,
            (Instants::Fold { first, second }, ClockRule::FollowsClock) if first <= after => {
                (second, Shift::FoldSecond)
            }
            (Instants::Fold { first, .. }, _) => (first, Shift::FoldFirst),
        };
        (tick_at > after).then_some(Tick { tick_at, local_time: wall, shift })
    }

    /// When clocks show a time for the first of two times at `after`: the first tick of the second
    /// showing. Its local time may be earlier than what they show now, so that looking ahead
    /// from there would lose it.
    fn tick_shown_again(&self, after: DateTime<Utc>) -> Option<Tick> {
        let shown = wall_at(self.zone, after);
        let Instants::Fold { first, second } = instants(self.zone, shown) else {
            return None;
        };
        if first != after {
            return None;
        }
        // The fold is as long as its two showings are apart, so it starts later than this.
        let before_fold = shown - (second - first);
        let next = |wall: &NaiveDateTime| self.pattern.next_after(*wall);
        std::iter::successors(next(&before_fold), next)
            .take_while(|wall| *wall <= shown)
            .find_map(|wall| self.second_showing(wall))
    }

    fn second_showing(&self, wall: NaiveDateTime) -> Option<Tick> {
        match instants(self.zone, wall) {
            Instants::Fold { second, .. } => {
                Some(Tick { tick_at: second, local_time: wall, shift: Shift::FoldSecond })
            }
            Instants::Gap | Instants::One(_) => None,
        }
    }
}

fn multiple_after(period: TimeDelta, after: DateTime<Utc>) -> Option<Tick> {
    let seconds = period.num_seconds();
    let next = after.timestamp().div_euclid(seconds).checked_add(1)?.checked_mul(seconds)?;
    let tick_at = DateTime::from_timestamp(next, 0)?;
    Some(Tick { tick_at, local_time: tick_at.naive_utc(), shift: Shift::None })
}

impl ClockRule {
    fn of(expression: &Expression) -> Self {
        if expression.minute.starred || expression.hour.starred {
            Self::FollowsClock
        } else {
            Self::ExactlyOnce
        }
    }
}
