//! Retry and timeout policy of a run.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::duration_text;
use super::fraction::fraction;
use super::violation::Violation;

/// Maximum of `max_attempts`.
pub const ATTEMPTS: i32 = 20;
/// Default of `max_attempts`.
pub const MAX_ATTEMPTS: i32 = 3;
/// Maximum of `initial_backoff`.
pub const INITIAL_BACKOFF: Duration = Duration::from_hours(1);
/// Maximum of `max_backoff`.
pub const LONGEST_BACKOFF: Duration = Duration::from_hours(24);
/// Maximum of `backoff_factor`.
pub const BACKOFF_FACTOR: f64 = 10.0;
/// Bounds of `attempt_timeout`.
pub const ATTEMPT_TIMEOUT: [Duration; 2] = [Duration::from_secs(1), Duration::from_hours(7 * 24)];
/// Bounds of `run_timeout`.
pub const RUN_TIMEOUT: [Duration; 2] = [Duration::from_secs(1), Duration::from_hours(30 * 24)];
/// Bounds of `lease_duration`.
pub const LEASE: [Duration; 2] = [Duration::from_secs(2), Duration::from_mins(10)];

/// Retry and timeout policy. Absent fields have their defaults.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunPolicy {
    /// Attempts before the run fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<i32>,
    /// Pause after the first failed attempt.
    #[serde(default, with = "duration_text", skip_serializing_if = "Option::is_none")]
    pub initial_backoff: Option<Duration>,
    /// Factor between one pause and the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff_factor: Option<f64>,
    #[serde(default, with = "duration_text", skip_serializing_if = "Option::is_none")]
    pub max_backoff: Option<Duration>,
    /// Random part of a pause, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff_jitter: Option<f64>,
    /// Maximum duration of one attempt.
    #[serde(default, with = "duration_text", skip_serializing_if = "Option::is_none")]
    pub attempt_timeout: Option<Duration>,
    /// Maximum time from `available_at` to the end of the run; none if absent.
    #[serde(default, with = "duration_text", skip_serializing_if = "Option::is_none")]
    pub run_timeout: Option<Duration>,
    /// Time after the last heartbeat until the lease expires; the server's default if absent.
    #[serde(default, with = "duration_text", skip_serializing_if = "Option::is_none")]
    pub lease_duration: Option<Duration>,
}

impl RunPolicy {
    /// The policy with all defaults filled in.
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

    pub fn max_attempts(&self) -> i32 {
        self.max_attempts.unwrap_or(MAX_ATTEMPTS)
    }

    pub fn attempt_timeout(&self) -> Duration {
        self.attempt_timeout.unwrap_or(Duration::from_hours(6))
    }

    /// The pause after the failed attempt with this number. Its random part depends on `seed` only, so
    /// every server computes the same pause for an attempt.
    pub fn pause_after(&self, attempt: i32, seed: &str) -> Duration {
        let Self { initial_backoff, backoff_factor, max_backoff, backoff_jitter, .. } =
            self.complete();
        let longest = max_backoff.unwrap_or_default().as_secs_f64();
        let grown = initial_backoff.unwrap_or_default().as_secs_f64()
            * backoff_factor.unwrap_or(1.0).powi(attempt.saturating_sub(1).clamp(0, 1_000));
        let random = backoff_jitter.unwrap_or_default() * fraction(&format!("{seed} {attempt}"));
        Duration::from_secs_f64(grown.min(longest) * (1.0 - random))
    }

    /// All violations, with paths relative to the policy.
    pub fn check(&self) -> Vec<Violation> {
        let mut violations = Vec::new();
        let mut reject = |field: &str, description: String| {
            violations.push(Violation::new(field, description));
        };
        if self.max_attempts.is_some_and(|count| !(1..=ATTEMPTS).contains(&count)) {
            reject("max_attempts", format!("must be 1 to {ATTEMPTS}"));
        }
        if self.initial_backoff.is_some_and(|pause| pause > INITIAL_BACKOFF) {
            reject("initial_backoff", "must be 0 to 1 hour".to_owned());
        }
        if self.backoff_factor.is_some_and(|factor| !(1.0..=BACKOFF_FACTOR).contains(&factor)) {
            reject("backoff_factor", format!("must be 1 to {BACKOFF_FACTOR}"));
        }
        let initial = self.initial_backoff.unwrap_or_default();
        match self.max_backoff {
            Some(longest) if longest > LONGEST_BACKOFF => {
                reject("max_backoff", "must be at most 24 hours".to_owned());
            }
            Some(longest) if longest < initial => {
                reject("max_backoff", "must not be less than initial_backoff".to_owned());
            }
            Some(_) | None => {}
        }
        if self.backoff_jitter.is_some_and(|part| !(0.0..=1.0).contains(&part)) {
            reject("backoff_jitter", "must be 0 to 1".to_owned());
        }
        for (field, value, bounds, text) in [
            ("attempt_timeout", self.attempt_timeout, ATTEMPT_TIMEOUT, "1 second to 7 days"),
            ("run_timeout", self.run_timeout, RUN_TIMEOUT, "1 second to 30 days"),
            ("lease_duration", self.lease_duration, LEASE, "2 seconds to 10 minutes"),
        ] {
            let [least, most] = bounds;
            if value.is_some_and(|value| !(least..=most).contains(&value)) {
                reject(field, format!("must be {text}"));
            }
        }
        violations
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_json_is_stable() {
        let policy = RunPolicy {
            max_attempts: Some(3),
            backoff_factor: Some(2.0),
            lease_duration: Some(Duration::from_millis(2_500)),
            run_timeout: Some(Duration::from_mins(1)),
            ..RunPolicy::default()
        };
        let json = serde_json::json!({
            "max_attempts": 3,
            "backoff_factor": 2.0,
            "lease_duration": "2.5s",
            "run_timeout": "60s",
        });
        assert_eq!(serde_json::to_value(&policy).unwrap(), json);
        assert_eq!(serde_json::from_value::<RunPolicy>(json).unwrap(), policy);
        let empty = serde_json::json!({});
        assert_eq!(serde_json::from_value::<RunPolicy>(empty).unwrap(), RunPolicy::default());
    }

    fn steady() -> RunPolicy {
        RunPolicy { backoff_jitter: Some(0.0), ..RunPolicy::default() }
    }

    #[test]
    fn the_pause_doubles_up_to_a_minute() {
        let seconds = [1, 2, 3, 7, i32::MAX].map(|n| steady().pause_after(n, "run").as_secs());
        assert_eq!(seconds, [1, 2, 4, 60, 60]);
    }

    #[test]
    fn the_first_pause_the_factor_and_the_maximum_can_be_set() {
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
            (0..100).map(|run| policy.pause_after(4, &run.to_string()).as_secs_f64()).collect();
        assert!(pauses.iter().all(|pause| (4.0..=8.0).contains(pause)));
        assert!(pauses.iter().any(|pause| *pause < 5.0) && pauses.iter().any(|p| *p > 7.0));
        // The same on every server and in every version.
        assert_eq!(policy.pause_after(4, "run").as_millis(), 6_963);
    }

    #[test]
    fn each_value_out_of_bounds_is_a_violation_of_its_field() {
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
