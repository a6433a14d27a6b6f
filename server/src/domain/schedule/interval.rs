//! Questions about all ticks of an interval, answered by looking at few of them.
//!
//! An interval is open at its start and closed at its end, like that from a watermark to now. It may
//! be decades long and have a tick a minute, so nothing but counting walks through it.

use chrono::{DateTime, TimeDelta, Utc};

use super::Schedule;

impl Schedule {
    /// The last tick after `after` and not after `until`.
    ///
    /// Halves the interval, so that years of a tick a minute cost some thirty look-ups.
    pub fn latest_in(&self, after: DateTime<Utc>, until: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut latest = self.first_in(after, until)?;
        let mut quiet_after = until;
        // Ticks are on whole seconds, so less than one has no room for another.
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
    /// Costs some three look-ups for each, however long the interval is.
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

    /// How many ticks are after `after` and not after `until`; stops counting at `at_most`.
    pub fn count_in(&self, after: DateTime<Utc>, until: DateTime<Utc>, at_most: u64) -> u64 {
        let ticks = self.ticks_after(after).take_while(|tick| tick.tick_at <= until);
        (0..at_most).zip(ticks).fold(0, |count: u64, _| count.saturating_add(1))
    }

    fn first_in(&self, after: DateTime<Utc>, until: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.next_after(after).filter(|tick| *tick <= until)
    }

    /// Adds the ticks from `until` back to `first`, which is one, until there are `limit`: those of
    /// the later half of the interval, then those of the earlier. Calls itself as often as the
    /// interval can be halved to a second, some thirty times.
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
