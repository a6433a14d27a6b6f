//! The time. It is Postgres's, because several servers must agree on it: each measures the offset of
//! its own clock and corrects it. The only room where a clock is read.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// Tells the time, in whole microseconds as Postgres keeps them.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> DateTime<Utc>;
}

/// The machine's clock, corrected by the last measured offset to the database's.
#[derive(Debug, Default)]
pub struct SystemClock {
    offset_micros: AtomicI64,
}

impl SystemClock {
    /// Takes over what the database's clock said between two readings of the machine's, and returns
    /// the offset. Half the round trip is the error's bound.
    pub fn correct(
        &self,
        before: DateTime<Utc>,
        database: DateTime<Utc>,
        after: DateTime<Utc>,
    ) -> TimeDelta {
        let offset = database - (before + (after - before) / 2);
        let micros = offset.num_microseconds().unwrap_or(0);
        self.offset_micros.store(micros, Ordering::Relaxed);
        offset
    }

    /// The machine's own time.
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn uncorrected() -> DateTime<Utc> {
        Utc::now()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        let offset = TimeDelta::microseconds(self.offset_micros.load(Ordering::Relaxed));
        (Self::uncorrected() + offset).trunc_subsecs(6)
    }
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
        let mut now = self.now.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *now += by;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        *self.now.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_corrected_to_the_databases() {
        let clock = SystemClock::default();
        let here = SystemClock::uncorrected();
        let offset = clock.correct(here, here + TimeDelta::hours(1), here);
        assert_eq!(offset, TimeDelta::hours(1));
        assert!(clock.now() - here >= TimeDelta::minutes(59));
    }
}
