//! What a scheduled job wants done with its ticks: those that nobody decided in time, those that come
//! while an earlier run goes on, and how far their starts are spread.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};
use strum::{Display, EnumString, IntoStaticStr};

use super::id::ScheduledJobId;
use super::violation::Violation;

/// Most runs that one decision makes for one job.
pub const CATCH_UP_LIMIT: i32 = 1_000;
/// Bounds of the catch-up window.
pub const WINDOW: [Duration; 2] = [Duration::from_secs(1), Duration::from_hours(366 * 24)];
/// Bounds of the grace.
pub const GRACE: [Duration; 2] = [Duration::from_secs(1), Duration::from_hours(24)];
pub const JITTER: Duration = Duration::from_hours(24);

/// Which of several due ticks make runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum CatchUpMode {
    LatestOnly,
    /// None beyond the grace.
    Skip,
    /// All within window and limit.
    All,
}

/// What a tick does while runs of earlier ticks have not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Overlap {
    /// It makes no run.
    Skip,
    /// Its run waits for the one before; one at most does.
    Queue,
    /// Its run may begin at once.
    Allow,
    /// The earlier runs are cancelled, and its run waits for their end.
    CancelRunning,
}

/// What becomes of ticks that no server decided in time. What is absent has its default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CatchUp {
    /// Which of them make runs; only the latest if absent.
    pub mode: Option<CatchUpMode>,
    /// For all: at most so many runs; 100 if absent.
    pub limit: Option<i32>,
    /// Older ticks make no runs; 366 days if absent.
    pub window: Option<Duration>,
    /// For skip: a tick decided so much later is on time; a minute if absent.
    pub grace: Option<Duration>,
}

/// What is done with ticks. What is absent has its default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TickPolicy {
    /// Those that no server decided in time.
    pub catch_up: CatchUp,
    /// Those that come while an earlier run goes on; skipped if absent.
    pub overlap: Option<Overlap>,
    /// The longest time from a tick to the start of its run; none if absent.
    pub jitter: Option<Duration>,
}

impl CatchUp {
    /// Which ticks make runs.
    pub fn mode(&self) -> CatchUpMode {
        self.mode.unwrap_or(CatchUpMode::LatestOnly)
    }

    /// Most runs of one decision.
    pub fn limit(&self) -> usize {
        usize::try_from(self.limit.unwrap_or(100)).unwrap_or(1)
    }

    /// Ticks older than this make no runs, unless the mode is skip.
    pub fn window(&self) -> Duration {
        self.window.unwrap_or(Duration::from_hours(366 * 24))
    }

    /// Ticks decided so much later are on time.
    pub fn grace(&self) -> Duration {
        self.grace.unwrap_or(Duration::from_mins(1))
    }

    /// Ticks at or after this instant can still make runs at `now`.
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
    /// What happens to a tick that comes while an earlier run goes on.
    pub fn overlap(&self) -> Overlap {
        self.overlap.unwrap_or(Overlap::Skip)
    }

    /// When the run of a tick may begin: the same instant whoever asks, and however often.
    pub fn starts_at(&self, job: &ScheduledJobId, tick: DateTime<Utc>) -> DateTime<Utc> {
        let jitter = self.jitter.unwrap_or_default().as_secs_f64();
        let spread = Duration::from_secs_f64(jitter * fraction(job, tick));
        let spread = TimeDelta::from_std(spread).unwrap_or_default();
        // Postgres keeps microseconds.
        chrono::SubsecRound::trunc_subsecs(tick + spread, 6)
    }

    /// Everything that is wrong, with paths relative to the scheduled job.
    pub fn check(&self) -> Vec<Violation> {
        let mut violations: Vec<Violation> =
            self.catch_up.check().into_iter().map(|v| v.within("catch_up")).collect();
        if self.jitter.is_some_and(|jitter| jitter > JITTER) {
            violations.push(Violation::new("jitter", "must be 0 to 24 hours"));
        }
        violations
    }
}

/// A number of 0 to 1 that depends on job and tick alone, on every server and in every version: hence
/// no hasher of the standard library, whose results may change.
fn fraction(job: &ScheduledJobId, tick: DateTime<Utc>) -> f64 {
    let text = format!("{job} {}", tick.timestamp());
    let [a, b, c, d, ..] = Sha256::digest(text).0;
    f64::from(u32::from_be_bytes([a, b, c, d])) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn a_start_is_spread_within_the_jitter_and_always_the_same() {
        let policy = TickPolicy { jitter: Some(Duration::from_mins(10)), ..TickPolicy::default() };
        let job = |n: i32| ScheduledJobId::parse(&format!("job-{n}")).unwrap();
        let spread: Vec<i64> =
            (0..200).map(|n| (policy.starts_at(&job(n), at(0)) - at(0)).num_seconds()).collect();
        assert!(spread.iter().all(|seconds| (0..=600).contains(seconds)), "{spread:?}");
        assert!(spread.iter().any(|s| *s < 60) && spread.iter().any(|s| *s > 540), "{spread:?}");
        // By this version and all others, on every server.
        assert_eq!((policy.starts_at(&job(7), at(0)) - at(0)).num_milliseconds(), 597_470);
        assert_ne!(spread[7], (policy.starts_at(&job(7), at(60)) - at(60)).num_seconds());
        assert_eq!(TickPolicy::default().starts_at(&job(7), at(0)), at(0));
    }

    #[test]
    fn everything_out_of_bounds_is_named() {
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
