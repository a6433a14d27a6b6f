//! Which of the due ticks fire, and what becomes of those that do not.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Decision, TickOutcome, range};
use crate::domain::schedule::Schedule;
use crate::domain::tick_policy::{CatchUpMode, Overlap, TickPolicy};

/// The due ticks, sorted.
pub(super) struct Due {
    /// Those that do not fire, in order of time.
    pub(super) passed: Vec<TickOutcome>,
    /// Those that fire unless an earlier run is in their way, in order of time; later than all passed ones.
    pub(super) firing: Vec<DateTime<Utc>>,
}

/// Sorts the ticks after `watermark` up to `now`.
pub(super) fn sort(
    schedule: &Schedule,
    policy: &TickPolicy,
    watermark: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Due {
    // Just before it, as intervals do not hold their beginning.
    let before_window = policy.catch_up.earliest(now) - TimeDelta::microseconds(1);
    let window_opens = before_window.clamp(watermark, now);
    let firing = schedule.newest_in(window_opens, now, most_runs(policy));
    let passed_until = firing.first().map_or(now, |first| *first - TimeDelta::microseconds(1));
    let (old, why_old) = outside(policy);
    let (recent, why_recent) = inside(policy);
    let ranges = [
        range(schedule, watermark, window_opens.min(passed_until), old, &why_old),
        range(schedule, window_opens, passed_until, recent, &why_recent),
    ];
    Due { passed: ranges.into_iter().flatten().collect(), firing }
}

/// Runs that one decision may make.
fn most_runs(policy: &TickPolicy) -> usize {
    match (policy.catch_up.mode(), policy.overlap()) {
        (CatchUpMode::All, Overlap::Skip | Overlap::Queue | Overlap::Allow) => {
            policy.catch_up.limit()
        }
        // Of all, each would cancel the one before.
        (CatchUpMode::All, Overlap::CancelRunning)
        | (CatchUpMode::LatestOnly | CatchUpMode::Skip, _) => 1,
    }
}

/// What becomes of ticks before the window.
fn outside(policy: &TickPolicy) -> (Decision, String) {
    let catch_up = &policy.catch_up;
    match catch_up.mode() {
        CatchUpMode::LatestOnly | CatchUpMode::All => {
            let window = humantime::format_duration(catch_up.window());
            let reason = format!("no server decided it within the catch-up window of {window}");
            (Decision::OutsideWindow, reason)
        }
        CatchUpMode::Skip => {
            let grace = humantime::format_duration(catch_up.grace());
            let reason = format!(
                "no server decided it within the grace of {grace}, and catch-up is to skip"
            );
            (Decision::Missed, reason)
        }
    }
}

/// What becomes of ticks in the window that do not fire.
fn inside(policy: &TickPolicy) -> (Decision, String) {
    if most_runs(policy) == 1 {
        let reason = "it was decided together with a later tick, which stands for it";
        return (Decision::Merged, reason.to_owned());
    }
    let limit = policy.catch_up.limit();
    let reason =
        format!("no server decided it in time, and only the newest {limit} are made up for");
    (Decision::Missed, reason)
}
