//! Policy of a scheduled job for its ticks: catch-up of late ticks, overlap with earlier runs, and jitter.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr};

use super::duration_text;
use super::fraction::fraction;
use super::id::ScheduledJobId;
use super::violation::Violation;

/// Maximum of the catch-up `limit`: runs that one decision creates for one job.
pub const CATCH_UP_LIMIT: i32 = 1_000;
/// Bounds of the catch-up `window`.
pub const WINDOW: [Duration; 2] = [Duration::from_secs(1), Duration::from_hours(366 * 24)];
/// Bounds of `grace`.
pub const GRACE: [Duration; 2] = [Duration::from_secs(1), Duration::from_hours(24)];
/// Maximum of `jitter`.
pub const JITTER: Duration = Duration::from_hours(24);

/// The due ticks that create runs.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, IntoStaticStr, Serialize, Deserialize,
)]
#[strum(serialize_all = "snake_case", const_into_str)]
#[serde(rename_all = "snake_case")]
pub enum CatchUpMode {
    LatestOnly,
    /// None that is later than the grace period.
    Skip,
    /// All ticks within window and limit.
    All,
}

/// Effect of a tick while runs of earlier ticks are unfinished.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, IntoStaticStr, Serialize, Deserialize,
)]
#[strum(serialize_all = "snake_case", const_into_str)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// The tick creates no run.
    Skip,
    /// Its run waits for the previous one; at most one run waits.
    Queue,
    /// Its run may start immediately.
    Allow,
    /// The earlier runs are cancelled; its run waits until they have ended.
    CancelRunning,
}

/// Policy for ticks that no server decided in time. Absent fields have their defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatchUp {
    /// Default: `latest_only`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<CatchUpMode>,
    /// Maximum number of runs for mode `all`. Default: 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<i32>,
    /// Older ticks create no runs. Default: 366 days.
    #[serde(default, with = "duration_text", skip_serializing_if = "Option::is_none")]
    pub window: Option<Duration>,
    /// For mode `skip`: a tick that is late by no more than this is on time. Default: one minute.
    #[serde(default, with = "duration_text", skip_serializing_if = "Option::is_none")]
    pub grace: Option<Duration>,
}

/// Tick policy. Absent fields have their defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TickPolicy {
    #[serde(default)]
    pub catch_up: CatchUp,
    /// Default: `skip`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlap: Option<Overlap>,
    /// Maximum delay from a tick to the start of its run. Default: none.
    #[serde(default, with = "duration_text", skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Duration>,
}

impl CatchUp {
    pub fn mode(&self) -> CatchUpMode {
        self.mode.unwrap_or(CatchUpMode::LatestOnly)
    }

    pub fn limit(&self) -> usize {
        usize::try_from(self.limit.unwrap_or(100)).unwrap_or(1)
    }

    /// Ticks older than this create no runs, except in mode `skip`.
    pub fn window(&self) -> Duration {
        self.window.unwrap_or(Duration::from_hours(366 * 24))
    }

    /// Ticks that are late by no more than this are on time.
    pub fn grace(&self) -> Duration {
        self.grace.unwrap_or(Duration::from_mins(1))
    }

    /// The earliest tick that can still create a run at `now`.
    pub fn earliest(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let reach = match self.mode() {
            CatchUpMode::LatestOnly | CatchUpMode::All => self.window(),
            CatchUpMode::Skip => self.grace(),
        };
        let reach = TimeDelta::from_std(reach).unwrap_or(TimeDelta::MAX);
        now.checked_sub_signed(reach).unwrap_or(DateTime::<Utc>::MIN_UTC)
    }

    fn check(&self) -> Vec<Violation> {
        let mut violations = Vec::new();
        if self.limit.is_some_and(|limit| !(1..=CATCH_UP_LIMIT).contains(&limit)) {
            violations.push(Violation::new("limit", format!("must be 1 to {CATCH_UP_LIMIT}")));
        }
        for (field, value, [least, most], text) in [
            ("window", self.window, WINDOW, "1 second to 366 days"),
            ("grace", self.grace, GRACE, "1 second to 24 hours"),
        ] {
            if value.is_some_and(|value| !(least..=most).contains(&value)) {
                violations.push(Violation::new(field, format!("must be {text}")));
            }
        }
        violations
    }
}

impl TickPolicy {
    pub fn overlap(&self) -> Overlap {
        self.overlap.unwrap_or(Overlap::Skip)
    }

    /// Earliest start of a tick's run: the tick plus its jitter, the same on every server.
    pub fn starts_at(&self, job: &ScheduledJobId, tick: DateTime<Utc>) -> DateTime<Utc> {
        let jitter = self.jitter.unwrap_or_default().as_secs_f64();
        let spread =
            Duration::from_secs_f64(jitter * fraction(&format!("{job} {}", tick.timestamp())));
        let spread = TimeDelta::from_std(spread).unwrap_or_default();
        // Postgres stores microseconds.
        chrono::SubsecRound::trunc_subsecs(tick + spread, 6)
    }

    /// The ticks that create runs although the catch-up mode is `all`, as a clause: the overlap policy limits them.
    pub fn caught_up(&self) -> Option<&'static str> {
        match (self.catch_up.mode(), self.overlap()) {
            (CatchUpMode::All, Overlap::Skip) => {
                Some("at most one of the missed ticks creates a run, and the others are skipped")
            }
            (CatchUpMode::All, Overlap::Queue) => {
                Some("at most two of the missed ticks create runs, because at most one run waits")
            }
            (CatchUpMode::All, Overlap::CancelRunning) => {
                Some("only the latest of the missed ticks creates a run")
            }
            (CatchUpMode::All, Overlap::Allow)
            | (CatchUpMode::LatestOnly | CatchUpMode::Skip, _) => None,
        }
    }

    /// A sentence about a combination that means something else than it seems to.
    pub fn warning(&self) -> Option<String> {
        let (caught_up, overlap) = (self.caught_up()?, self.overlap());
        Some(format!(
            "with catch-up all and overlap {overlap}, {caught_up}; to run all of them one after the other, set overlap \
             to allow and max_concurrent_runs to 1"
        ))
    }

    /// All violations, with paths relative to the scheduled job.
    pub fn check(&self) -> Vec<Violation> {
        let mut violations: Vec<Violation> =
            self.catch_up.check().into_iter().map(|v| v.within("catch_up")).collect();
        if self.jitter.is_some_and(|jitter| jitter > JITTER) {
            violations.push(Violation::new("jitter", "must be 0 to 24 hours"));
        }
        violations
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_json_is_stable() {
        let policy = TickPolicy {
            catch_up: CatchUp {
                mode: Some(CatchUpMode::LatestOnly),
                limit: Some(5),
                window: Some(Duration::from_hours(2)),
                grace: Some(Duration::from_millis(1_500)),
            },
            overlap: Some(Overlap::CancelRunning),
            jitter: Some(Duration::from_mins(3)),
        };
        let json = serde_json::json!({
            "catch_up": { "mode": "latest_only", "limit": 5, "window": "7200s", "grace": "1.5s" },
            "overlap": "cancel_running",
            "jitter": "180s",
        });
        assert_eq!(serde_json::to_value(&policy).unwrap(), json);
        assert_eq!(serde_json::from_value::<TickPolicy>(json).unwrap(), policy);
        let empty = serde_json::json!({});
        assert_eq!(serde_json::from_value::<TickPolicy>(empty).unwrap(), TickPolicy::default());
    }

    #[test]
    fn an_unknown_word_is_named_in_the_error() {
        let json = serde_json::json!({ "overlap": "maybe" });
        let error = serde_json::from_value::<TickPolicy>(json).unwrap_err().to_string();
        assert!(error.contains("`maybe`") && error.contains("`cancel_running`"), "{error}");
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn starts_are_spread_over_the_jitter_and_reproducible() {
        let policy = TickPolicy { jitter: Some(Duration::from_mins(10)), ..TickPolicy::default() };
        let job = |n: i32| ScheduledJobId::parse(&format!("job-{n}")).unwrap();
        let spread: Vec<i64> =
            (0..200).map(|n| (policy.starts_at(&job(n), at(0)) - at(0)).num_seconds()).collect();
        assert!(spread.iter().all(|seconds| (0..=600).contains(seconds)), "{spread:?}");
        assert!(spread.iter().any(|s| *s < 60) && spread.iter().any(|s| *s > 540), "{spread:?}");
        // The same on every server and in every version.
        assert_eq!((policy.starts_at(&job(7), at(0)) - at(0)).num_milliseconds(), 597_470);
        assert_ne!(spread[7], (policy.starts_at(&job(7), at(60)) - at(60)).num_seconds());
        assert_eq!(TickPolicy::default().starts_at(&job(7), at(0)), at(0));
    }

    #[test]
    fn each_value_out_of_bounds_is_a_violation_of_its_field() {
        let bad = TickPolicy {
            catch_up: CatchUp {
                mode: None,
                limit: Some(1_001),
                window: Some(Duration::ZERO),
                grace: Some(Duration::from_hours(25)),
            },
            overlap: None,
            jitter: Some(Duration::from_hours(25)),
        };
        let fields: Vec<String> = bad.check().into_iter().map(|v| v.field).collect();
        assert_eq!(fields, ["catch_up.limit", "catch_up.window", "catch_up.grace", "jitter"]);
        assert_eq!(TickPolicy::default().check(), []);
    }
}
