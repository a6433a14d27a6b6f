//! Ticks at the wall-clock times that a cron expression names, with the effects of clock changes.

use chrono::{DateTime, NaiveDateTime, Utc};
use jiff::tz::TimeZone;

use super::parser::Fields;
use super::pattern::Pattern;
use super::wall_clock::{Instants, gap_end, instants, wall_at};
use super::{ScheduleError, Shift, Tick};

#[derive(Clone, Debug)]
pub(super) struct WallClockTicks {
    zone: TimeZone,
    pattern: Pattern,
    rule: ClockRule,
}

/// Effect of clock changes on a schedule, by cron(8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClockRule {
    /// Minute or hour is a wildcard: due whenever clocks show a named time.
    FollowsClock,
    /// A fixed time of day: due exactly once for each named time.
    ExactlyOnce,
}

impl WallClockTicks {
    pub(super) fn new(fields: &Fields, zone: TimeZone) -> Result<Self, ScheduleError> {
        Ok(Self { zone, pattern: Pattern::new(fields)?, rule: ClockRule::of(fields) })
    }

    /// The first tick strictly after `after`.
    pub(super) fn next_after(&self, after: DateTime<Utc>) -> Option<Tick> {
        let ahead = self.tick_ahead(after);
        match self.rule {
            ClockRule::ExactlyOnce => ahead,
            ClockRule::FollowsClock => {
                let again = self.tick_shown_again(after);
                again.into_iter().chain(ahead).min_by_key(|tick| tick.tick_at)
            }
        }
    }

    /// Named times after `after` and up to `until` in gaps, if they have no tick; at most `limit`.
    pub(super) fn skipped_in(
        &self,
        after: DateTime<Utc>,
        until: DateTime<Utc>,
        limit: usize,
    ) -> Vec<NaiveDateTime> {
        if self.rule == ClockRule::ExactlyOnce {
            return Vec::new();
        }
        let last = wall_at(&self.zone, until);
        let next = |wall: &NaiveDateTime| self.pattern.next_after(*wall);
        std::iter::successors(self.pattern.next_after(wall_at(&self.zone, after)), next)
            .take_while(|wall| *wall <= last)
            .filter(|wall| matches!(instants(&self.zone, *wall), Instants::Gap))
            .take(limit)
            .collect()
    }

    /// The first tick whose local time is later than the time that clocks show at `after`.
    ///
    /// Passes over the named times of at most one gap or fold: a few hundred at worst.
    fn tick_ahead(&self, after: DateTime<Utc>) -> Option<Tick> {
        let mut wall = self.pattern.next_after(wall_at(&self.zone, after))?;
        loop {
            if let Some(tick) = self.tick_at_wall(wall, after) {
                return Some(tick);
            }
            wall = self.pattern.next_after(wall)?;
        }
    }

    /// The tick of the named time `wall`, if it is after `after`; in a fold the earlier such tick.
    fn tick_at_wall(&self, wall: NaiveDateTime, after: DateTime<Utc>) -> Option<Tick> {
        let (tick_at, shift) = match (instants(&self.zone, wall), self.rule) {
            (Instants::One(instant), _) => (instant, Shift::None),
            (Instants::Gap, ClockRule::ExactlyOnce) => (gap_end(&self.zone, wall), Shift::GapMoved),
            (Instants::Gap, ClockRule::FollowsClock) => return None,
            (Instants::Fold { first, second }, ClockRule::FollowsClock) if first <= after => {
                (second, Shift::FoldSecond)
            }
            (Instants::Fold { first, .. }, _) => (first, Shift::FoldFirst),
        };
        (tick_at > after).then_some(Tick { tick_at, local_time: wall, shift })
    }

    /// The first tick of a fold's second showing, if `after` is in the first showing. Its local time may
    /// be earlier than the time shown at `after`, so [`Self::tick_ahead`] would miss it.
    fn tick_shown_again(&self, after: DateTime<Utc>) -> Option<Tick> {
        let shown = wall_at(&self.zone, after);
        let Instants::Fold { first, second } = instants(&self.zone, shown) else {
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
        match instants(&self.zone, wall) {
            Instants::Fold { second, .. } => {
                Some(Tick { tick_at: second, local_time: wall, shift: Shift::FoldSecond })
            }
            Instants::Gap | Instants::One(_) => None,
        }
    }
}

impl ClockRule {
    fn of(fields: &Fields) -> Self {
        if fields.minute.starred || fields.hour.starred {
            Self::FollowsClock
        } else {
            Self::ExactlyOnce
        }
    }
}
