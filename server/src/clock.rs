//! The current time, which all servers take from Postgres so that they agree.
//!
//! A server measures Postgres's clock periodically and extrapolates with its own steady clock, which nobody
//! can set: a step of the machine's wall clock, by hand or by NTP, has no effect. The steady clock also
//! counts while the machine sleeps. It may stand still while a virtual machine is suspended; then the
//! time is late until the next measurement. No other module reads a clock.
//!
//! **A measurement never puts the time ahead of Postgres's**, so that no tick starts early. A reading
//! takes a round trip, and the instant within it at which Postgres read its clock is unknown. It is
//! assumed to be the end, so the time is late by at most one round trip. The remaining error is the drift
//! between the two clocks, some tenths of a millisecond until the next measurement.
//!
//! **The time may go back** at a measurement: by a round trip plus that drift, or by as much as Postgres's
//! clock was set back. Code that compares a stored time with the current one must allow for that.

use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Duration;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use rustix::time::{ClockId, clock_gettime};

/// Cannot be set, and counts while the machine sleeps.
#[cfg(target_os = "linux")]
const STEADY: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const STEADY: ClockId = ClockId::Monotonic;

/// A source of the current time, in the whole microseconds that Postgres stores.
pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> DateTime<Utc>;
}

/// Postgres's time, extrapolated from the last measurement. Before the first one it is the machine's time.
#[derive(Debug, Default)]
pub struct SystemClock {
    measured: RwLock<Option<Measured>>,
}

/// The result of a measurement.
#[derive(Clone, Copy, Debug)]
struct Measured {
    /// Postgres's time at the zero of the steady clock.
    origin: DateTime<Utc>,
    /// Postgres's time minus the wall clock.
    offset: TimeDelta,
}

/// Both clocks of this machine at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The wall clock, which can be set.
    pub wall: DateTime<Utc>,
    /// The steady clock, since an arbitrary zero.
    pub steady: Duration,
}

/// A reading of Postgres's clock at an unknown instant between two moments.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    pub before: Moment,
    pub database: DateTime<Utc>,
    pub after: Moment,
}

impl SystemClock {
    /// Extrapolates from `reading` from now on.
    pub fn set(&self, reading: &Reading) {
        let origin = reading.database - delta(reading.after.steady);
        let measured = Measured { origin, offset: reading.offset() };
        *self.measured.write().unwrap_or_else(PoisonError::into_inner) = Some(measured);
    }

    /// Whether it was ever set.
    pub fn is_set(&self) -> bool {
        self.measured().is_some()
    }

    /// Postgres's time minus this machine's wall clock at the last measurement.
    pub fn offset(&self) -> Option<TimeDelta> {
        self.measured().map(|measured| measured.offset)
    }

    /// The current readings of this machine's clocks.
    pub fn moment() -> Moment {
        let steady = Duration::try_from(clock_gettime(STEADY)).unwrap_or_default();
        Moment { wall: Self::uncorrected(), steady }
    }

    /// The wall clock of this machine, for code that runs without Postgres.
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn uncorrected() -> DateTime<Utc> {
        Utc::now()
    }

    /// The time at a moment of this machine's clocks.
    pub fn at(&self, moment: Moment) -> DateTime<Utc> {
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
    /// Duration of the reading, which bounds its error.
    pub fn round_trip(&self) -> Duration {
        self.after.steady.saturating_sub(self.before.steady)
    }

    /// Postgres's time minus this machine's wall clock, assuming the middle of the round trip.
    pub fn offset(&self) -> TimeDelta {
        self.database - (self.after.wall - delta(self.round_trip()) / 2)
    }
}

/// Saturates after 292 million years, which a steady clock does not reach.
fn delta(length: Duration) -> TimeDelta {
    TimeDelta::from_std(length).unwrap_or(TimeDelta::MAX)
}

/// A clock for tests, which only moves when a test advances it.
#[derive(Debug)]
pub struct ManualClock {
    now: Mutex<DateTime<Utc>>,
}

impl ManualClock {
    pub fn at(now: DateTime<Utc>) -> Self {
        Self { now: Mutex::new(now) }
    }

    /// Moves the clock, forwards or backwards.
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

    fn moment(wall: i64, steady: u64) -> Moment {
        Moment { wall: time(wall), steady: Duration::from_millis(steady) }
    }

    /// A reading that took 20 ms and ended at 1,000 ms of the steady clock.
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
    fn before_the_first_measurement_it_is_the_machines_time() {
        let clock = SystemClock::default();
        assert!(!clock.is_set());
        assert_eq!(clock.at(moment(7, 0)), time(7));
    }

    #[test]
    fn after_a_measurement_it_is_the_databases_time() {
        let clock = set_by(reading(5_000, 8_000));
        assert!(clock.is_set());
        assert_eq!(clock.at(moment(5_000, 1_000)), time(8_000));
        assert_eq!(clock.at(moment(5_250, 1_250)), time(8_250));
        assert_eq!(clock.offset(), Some(TimeDelta::milliseconds(3_010)));
    }

    #[test]
    fn a_step_of_the_machines_clock_has_no_effect() {
        let clock = set_by(reading(5_000, 8_000));
        assert_eq!(clock.at(moment(3_600_000, 1_250)), time(8_250));
        assert_eq!(clock.at(moment(-3_600_000, 1_250)), time(8_250));
    }

    /// The database may read its clock at any instant of the round trip.
    #[test]
    fn it_is_never_ahead_of_the_databases_time() {
        let late_by = |ago: i64| {
            let clock = set_by(reading(5_000, 8_000 - ago));
            time(8_000) - clock.at(moment(5_000, 1_000))
        };
        assert_eq!(late_by(0), TimeDelta::zero());
        assert_eq!(late_by(20), TimeDelta::milliseconds(20));
    }

    #[test]
    fn a_slower_reading_sets_it_back_by_at_most_a_round_trip() {
        let clock = set_by(reading(5_000, 8_000));
        let (before, after) = (moment(14_700, 10_700), moment(15_000, 11_000));
        clock.set(&Reading { before, database: time(17_700), after });
        assert_eq!(clock.at(after), time(17_700));
    }

    #[test]
    fn the_offset_is_relative_to_the_wall_clock() {
        assert_eq!(reading(5_000, 8_000).offset(), TimeDelta::milliseconds(3_010));
        assert_eq!(reading(5_000, 8_000).round_trip(), Duration::from_millis(20));
    }

    #[test]
    fn the_steady_clock_of_this_machine_never_goes_back() {
        let (one, other) = (SystemClock::moment(), SystemClock::moment());
        assert!(one.steady > Duration::ZERO && one.steady <= other.steady);
    }
}
