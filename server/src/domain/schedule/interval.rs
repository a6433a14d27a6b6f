//! The latest, newest and number of ticks in an interval, found with few lookups.
//!
//! An interval excludes its start and includes its end, like the one from a watermark to now. It may be
//! decades long with a tick every second, so only counting visits each tick.

use chrono::{DateTime, TimeDelta, Utc};

use super::Schedule;

impl Schedule {
    /// The last tick after `after` and not after `until`.
    ///
    /// Bisects the interval: years with a tick every minute cost about thirty lookups.
    pub fn latest_in(&self, after: DateTime<Utc>, until: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut latest = self.first_in(after, until)?;
        let mut quiet_after = until;
        // Ticks are at whole seconds, so there is no other tick within less than one.
        while quiet_after - latest >= TimeDelta::seconds(1) {
            let middle = latest + (quiet_after - latest) / 2;
            match self.first_in(middle, quiet_after) {
                Some(tick) => latest = tick,
                None => quiet_after = middle,
            }
        }
        Some(latest)
    }

    /// The last `limit` ticks after `after` and not after `until`, oldest first.
    ///
    /// Costs about three lookups per tick, however long the interval is.
    pub fn newest_in(
        &self,
        after: DateTime<Utc>,
        until: DateTime<Utc>,
        limit: usize,
    ) -> Vec<DateTime<Utc>> {
        let mut newest = Vec::new();
        if let Some(first) = self.first_in(after, until) {
            self.gather_backwards(first, until, limit, &mut newest);
        }
        newest.reverse();
        newest
    }

    /// Number of ticks after `after` and up to `until`; counting stops at `at_most`.
    pub fn count_in(&self, after: DateTime<Utc>, until: DateTime<Utc>, at_most: u64) -> u64 {
        let ticks = self.ticks_after(after).take_while(|tick| tick.tick_at <= until);
        (0..at_most).zip(ticks).fold(0, |count: u64, _| count.saturating_add(1))
    }

    fn first_in(&self, after: DateTime<Utc>, until: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.next_after(after).filter(|tick| *tick <= until)
    }

    /// Adds ticks from `until` back to the tick `first` until there are `limit`: first those of the later
    /// half of the interval, then those of the earlier half. Recurses until the interval is a second
    /// long, about thirty levels deep.
    fn gather_backwards(
        &self,
        first: DateTime<Utc>,
        until: DateTime<Utc>,
        limit: usize,
        newest: &mut Vec<DateTime<Utc>>,
    ) {
        if newest.len() >= limit {
            return;
        }
        if self.first_in(first, until).is_none() {
            return newest.push(first);
        }
        let middle = first + (until - first) / 2;
        if let Some(later) = self.first_in(middle, until) {
            self.gather_backwards(later, until, limit, newest);
        }
        self.gather_backwards(first, middle, limit, newest);
    }
}
