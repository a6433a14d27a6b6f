//! How stubbornly a run is tried, and for how long.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use super::violation::Violation;

/// Most attempts of a run.
pub const ATTEMPTS: i32 = 20;
/// Attempts of a run unless it says otherwise.
pub const MAX_ATTEMPTS: i32 = 3;
pub const INITIAL_BACKOFF: Duration = Duration::from_hours(1);
/// Longest pause at all.
pub const LONGEST_BACKOFF: Duration = Duration::from_hours(24);
/// Largest factor between two pauses.
pub const BACKOFF_FACTOR: f64 = 10.0;
/// Bounds of the time that an attempt may have.
pub const ATTEMPT_TIMEOUT: [Duration; 2] = [Duration::from_secs(1), Duration::from_hours(7 * 24)];
/// Bounds of the time that a run may have.
pub const RUN_TIMEOUT: [Duration; 2] = [Duration::from_secs(1), Duration::from_hours(30 * 24)];
/// Bounds of a lease.
pub const LEASE: [Duration; 2] = [Duration::from_secs(2), Duration::from_mins(10)];

/// How stubbornly a run is tried. What is absent has its default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunPolicy {
    /// Attempts before it fails for good.
    pub max_attempts: Option<i32>,
    /// Pause after the first failed attempt.
    pub initial_backoff: Option<Duration>,
    /// By how much each further pause is longer.
    pub backoff_factor: Option<f64>,
    pub max_backoff: Option<Duration>,
    /// The part of a pause that is random, 0 to 1.
    pub backoff_jitter: Option<f64>,
    /// The longest that one attempt may take.
    pub attempt_timeout: Option<Duration>,
    /// The longest from the time when the run may begin to its end.
    pub run_timeout: Option<Duration>,
    /// How long a worker may be silent; the server's own default if absent.
    pub lease_duration: Option<Duration>,
}

impl RunPolicy {
    /// With every default filled in.
    #[must_use]
    pub fn complete(&self) -> Self {
        let initial = self.initial_backoff.unwrap_or(Duration::from_secs(1));
        let longest = self.max_backoff.unwrap_or(Duration::from_mins(1)).max(initial);
        Self {
            max_attempts: self.max_attempts.or(Some(MAX_ATTEMPTS)),
            initial_backoff: Some(initial),
            backoff_factor: self.backoff_factor.or(Some(2.0)),
            max_backoff: Some(longest),
            backoff_jitter: self.backoff_jitter.or(Some(0.2)),
            attempt_timeout: Some(self.attempt_timeout()),
            run_timeout: self.run_timeout,
            lease_duration: self.lease_duration,
        }
    }

    /// Attempts before the run fails for good.
    pub fn max_attempts(&self) -> i32 {
        self.max_attempts.unwrap_or(MAX_ATTEMPTS)
    }

    /// The longest that one attempt may take.
    pub fn attempt_timeout(&self) -> Duration {
        self.attempt_timeout.unwrap_or(Duration::from_hours(6))
    }

    /// The pause after a failed attempt with this number. `seed` stands for chance, so that the same
    /// attempt of the same run always waits the same time.
    pub fn pause_after(&self, attempt: i32, seed: impl Hash) -> Duration {
        let Self { initial_backoff, backoff_factor, max_backoff, backoff_jitter, .. } =
            self.complete();
        let longest = max_backoff.unwrap_or_default().as_secs_f64();
        let grown = initial_backoff.unwrap_or_default().as_secs_f64()
            * backoff_factor.unwrap_or(1.0).powi(attempt.saturating_sub(1).clamp(0, 1_000));
        let random = backoff_jitter.unwrap_or_default() * fraction((seed, attempt));
        Duration::from_secs_f64(grown.min(longest) * (1.0 - random))
    }

    /// Everything that is wrong, with paths relative to the policy.
    pub fn check(&self) -> Vec<Violation> {
        let mut violations = Vec::new();
        let mut refuse = |field: &str, description: String| {
            violations.push(Violation::new(field, description));
        };
        if self.max_attempts.is_some_and(|count| !(1..=ATTEMPTS).contains(&count)) {
            refuse("max_attempts", format!("must be 1 to {ATTEMPTS}"));
        }
        if self.initial_backoff.is_some_and(|pause| pause > INITIAL_BACKOFF) {
            refuse("initial_backoff", "must be 0 to 1 hour".to_owned());
        }
        if self.backoff_factor.is_some_and(|factor| !(1.0..=BACKOFF_FACTOR).contains(&factor)) {
            refuse("backoff_factor", format!("must be 1 to {BACKOFF_FACTOR}"));
        }
        let initial = self.initial_backoff.unwrap_or_default();
        match self.max_backoff {
            Some(longest) if longest > LONGEST_BACKOFF => {
                refuse("max_backoff", "must be at most 24 hours".to_owned());
            }
            Some(longest) if longest < initial => {
                refuse("max_backoff", "must not be less than initial_backoff".to_owned());
            }
            Some(_) | None => {}
        }
        if self.backoff_jitter.is_some_and(|part| !(0.0..=1.0).contains(&part)) {
            refuse("backoff_jitter", "must be 0 to 1".to_owned());
        }
        for (field, value, bounds, text) in [
            ("attempt_timeout", self.attempt_timeout, ATTEMPT_TIMEOUT, "1 second to 7 days"),
            ("run_timeout", self.run_timeout, RUN_TIMEOUT, "1 second to 30 days"),
            ("lease_duration", self.lease_duration, LEASE, "2 seconds to 10 minutes"),
        ] {
            let [least, most] = bounds;
            if value.is_some_and(|value| !(least..=most).contains(&value)) {
                refuse(field, format!("must be {text}"));
            }
        }
        violations
    }
}

/// A number of 0 to 1 that looks random.
fn fraction(seed: impl Hash) -> f64 {
    let mut hasher = DefaultHasher::new();
    seed.hash(&mut hasher);
    let bits = u32::try_from(hasher.finish() >> 32).unwrap_or(u32::MAX);
    f64::from(bits) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steady() -> RunPolicy {
        RunPolicy { backoff_jitter: Some(0.0), ..RunPolicy::default() }
    }

    #[test]
    fn the_pause_doubles_up_to_a_minute() {
        let seconds = [1, 2, 3, 7, i32::MAX].map(|n| steady().pause_after(n, "run").as_secs());
        assert_eq!(seconds, [1, 2, 4, 60, 60]);
    }

    #[test]
    fn first_pause_factor_and_cap_can_be_set() {
        let policy = RunPolicy {
            initial_backoff: Some(Duration::from_mins(5)),
            backoff_factor: Some(3.0),
            max_backoff: Some(Duration::from_mins(30)),
            ..steady()
        };
        let minutes = [1, 2, 3].map(|n| policy.pause_after(n, "run").as_secs() / 60);
        assert_eq!(minutes, [5, 15, 30]);
        let longer = RunPolicy { initial_backoff: Some(Duration::from_mins(5)), ..steady() };
        assert_eq!(longer.pause_after(2, "run"), Duration::from_mins(5), "the cap is not below it");
    }

    #[test]
    fn jitter_shortens_pauses_and_spreads_runs() {
        let policy = RunPolicy { backoff_jitter: Some(0.5), ..steady() };
        let pauses: Vec<f64> =
            (0..100).map(|run| policy.pause_after(4, run).as_secs_f64()).collect();
        assert!(pauses.iter().all(|pause| (4.0..=8.0).contains(pause)));
        assert!(pauses.iter().any(|pause| *pause < 5.0) && pauses.iter().any(|p| *p > 7.0));
        assert_eq!(policy.pause_after(4, 7), policy.pause_after(4, 7));
    }

    #[test]
    fn everything_out_of_bounds_is_named() {
        let bad = RunPolicy {
            max_attempts: Some(21),
            initial_backoff: Some(Duration::from_hours(2)),
            backoff_factor: Some(0.5),
            max_backoff: Some(Duration::from_mins(1)),
            backoff_jitter: Some(f64::NAN),
            attempt_timeout: Some(Duration::ZERO),
            run_timeout: Some(Duration::from_hours(31 * 24)),
            lease_duration: Some(Duration::from_secs(1)),
        };
        let fields: Vec<String> = bad.check().into_iter().map(|v| v.field).collect();
        assert_eq!(fields.len(), 8, "{fields:?}");
        assert_eq!(RunPolicy::default().check(), []);
        assert_eq!(RunPolicy::default().complete().check(), []);
    }
}
