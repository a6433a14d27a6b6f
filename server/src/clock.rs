//! The time. It is Postgres's, because several servers must agree on it: each measures it now and then
//! and counts on from there. The only room where a clock is read.
//!
//! What is counted on is a steady clock, which nobody sets: a step of the machine's wall clock, by hand or
//! by NTP, changes nothing here. It counts while the machine sleeps; while a virtual machine is stopped
//! it may not, so that the time is late until the next measurement.
//!
//! **The time is never ahead of Postgres's by the measurement**, so that no tick starts early. A
//! reading takes a round trip, and where within it Postgres looked at its clock is unknown: it counts
//! as looked at when the answer came, so that the time is late by a round trip at most. What is left is
//! the difference in speed of two clocks, some tenths of a millisecond until the next measurement.
//!
//! **The time may go back** when it is measured anew: by a round trip and that difference, or as far as
//! Postgres's own clock was set back. Whoever keeps a time decides what an earlier one means.

use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Duration;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use rustix::time::{ClockId, clock_gettime};

/// Nobody sets it, and it counts while the machine sleeps.
#[cfg(target_os = "linux")]
const STEADY: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const STEADY: ClockId = ClockId::Monotonic;

/// Tells the time, in whole microseconds as Postgres keeps them.
pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> DateTime<Utc>;
}

/// Postgres's time, as it was last measured and counted on from there; the machine's before the first
/// measurement.
#[derive(Debug, Default)]
pub struct SystemClock {
    measured: RwLock<Option<Measured>>,
}

/// What a reading comes to.
#[derive(Clone, Copy, Debug)]
struct Measured {
    /// What Postgres's clock showed when the steady one was at zero.
    origin: DateTime<Utc>,
    /// How far it was ahead of the wall clock.
    offset: TimeDelta,
}

/// What the clocks of this machine show at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The wall clock, which may be set.
    pub wall: DateTime<Utc>,
    /// The steady one, since some zero of its own.
    pub steady: Duration,
}

/// What Postgres's clock showed at some time between two moments.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// When it was asked for.
    pub before: Moment,
    pub database: DateTime<Utc>,
    pub after: Moment,
}

impl SystemClock {
    /// Counts on from `reading`.
    pub fn set(&self, reading: &Reading) {
        let origin = reading.database - delta(reading.after.steady);
        let measured = Measured { origin, offset: reading.offset() };
        *self.measured.write().unwrap_or_else(PoisonError::into_inner) = Some(measured);
    }

    /// Whether it was ever set.
    pub fn is_set(&self) -> bool {
        self.measured().is_some()
    }

    /// How far Postgres's clock was ahead of this machine's wall clock when it was last set.
    pub fn offset(&self) -> Option<TimeDelta> {
        self.measured().map(|measured| measured.offset)
    }

    /// What the clocks of this machine show.
    pub fn moment() -> Moment {
        let steady = Duration::try_from(clock_gettime(STEADY)).unwrap_or_default();
        Moment { wall: Self::uncorrected(), steady }
    }

    /// The machine's own time, for those who know no Postgres.
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn uncorrected() -> DateTime<Utc> {
        Utc::now()
    }

    fn at(&self, moment: Moment) -> DateTime<Utc> {
        match self.measured() {
            Some(Measured { origin, .. }) => (origin + delta(moment.steady)).trunc_subsecs(6),
            None => moment.wall.trunc_subsecs(6),
        }
    }

    fn measured(&self) -> Option<Measured> {
        *self.measured.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        self.at(Self::moment())
    }
}

impl Reading {
    /// How long it took, which is the bound of its error.
    pub fn round_trip(&self) -> Duration {
        self.after.steady.saturating_sub(self.before.steady)
    }

    /// How far Postgres's clock is ahead of this machine's wall clock.
    pub fn offset(&self) -> TimeDelta {
        self.database - (self.after.wall - delta(self.round_trip()) / 2)
    }
}

/// The steady clock's numbers are far from the limit: it would take 292 million years.
fn delta(length: Duration) -> TimeDelta {
    TimeDelta::from_std(length).unwrap_or(TimeDelta::MAX)
}

/// A clock for tests, which stands until it is moved.
#[derive(Debug)]
pub struct ManualClock {
    now: Mutex<DateTime<Utc>>,
}

impl ManualClock {
    /// A clock that stands at `now`.
    pub fn at(now: DateTime<Utc>) -> Self {
        Self { now: Mutex::new(now) }
    }

    /// Moves it, forwards or back.
    pub fn advance(&self, by: TimeDelta) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        *now += by;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(milliseconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(1_700_000_000_000 + milliseconds).unwrap()
    }

    /// Both clocks of the machine, in milliseconds.
    fn moment(wall: i64, steady: u64) -> Moment {
        Moment { wall: time(wall), steady: Duration::from_millis(steady) }
    }

    /// An answer that came 20 ms after it was asked for, at 1,000 of the steady clock.
    fn reading(wall: i64, database: i64) -> Reading {
        let (before, after) = (moment(wall - 20, 980), moment(wall, 1_000));
        Reading { before, database: time(database), after }
    }

    fn set_by(reading: Reading) -> SystemClock {
        let clock = SystemClock::default();
        clock.set(&reading);
        clock
    }

    #[test]
    fn it_is_the_machines_before_it_is_set() {
        let clock = SystemClock::default();
        assert!(!clock.is_set());
        assert_eq!(clock.at(moment(7, 0)), time(7));
    }

    #[test]
    fn it_is_the_databases_once_it_is_set() {
        let clock = set_by(reading(5_000, 8_000));
        assert!(clock.is_set());
        assert_eq!(clock.at(moment(5_000, 1_000)), time(8_000));
        assert_eq!(clock.at(moment(5_250, 1_250)), time(8_250));
        assert_eq!(clock.offset(), Some(TimeDelta::milliseconds(3_010)));
    }

    #[test]
    fn a_step_of_the_machines_clock_changes_nothing() {
        let clock = set_by(reading(5_000, 8_000));
        assert_eq!(clock.at(moment(3_600_000, 1_250)), time(8_250));
        assert_eq!(clock.at(moment(-3_600_000, 1_250)), time(8_250));
    }

    /// The database may have looked at its clock at any time of the round trip.
    #[test]
    fn it_is_never_ahead_of_the_databases() {
        let late_by = |ago: i64| {
            let clock = set_by(reading(5_000, 8_000 - ago));
            time(8_000) - clock.at(moment(5_000, 1_000))
        };
        assert_eq!(late_by(0), TimeDelta::zero());
        assert_eq!(late_by(20), TimeDelta::milliseconds(20));
    }

    #[test]
    fn a_slower_reading_sets_it_back_by_a_round_trip_at_most() {
        let clock = set_by(reading(5_000, 8_000));
        let (before, after) = (moment(14_700, 10_700), moment(15_000, 11_000));
        clock.set(&Reading { before, database: time(17_700), after });
        assert_eq!(clock.at(after), time(17_700));
    }

    #[test]
    fn the_offset_is_the_wall_clocks() {
        assert_eq!(reading(5_000, 8_000).offset(), TimeDelta::milliseconds(3_010));
        assert_eq!(reading(5_000, 8_000).round_trip(), Duration::from_millis(20));
    }

    #[test]
    fn the_clocks_of_this_machine_go_on() {
        let (one, other) = (SystemClock::moment(), SystemClock::moment());
        assert!(one.steady > Duration::ZERO && one.steady <= other.steady);
    }
}
