//! Catch-up policy: selects the due ticks that fire, and the decisions about the others.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Decision, TickOutcome, Undecided};
use crate::domain::tick_policy::{CatchUpMode, Overlap, TickPolicy};

/// The due ticks by the catch-up policy.
pub(super) struct Due {
    /// Ticks that do not fire, in order of time.
    pub(super) skipped: Vec<TickOutcome>,
    /// Ticks that fire unless an earlier run blocks them, in order of time; later than all skipped ones.
    pub(super) firing: Vec<DateTime<Utc>>,
}

/// Applies the policy to the ticks after `watermark` and up to `now`.
pub(super) fn due(
    undecided: Undecided<'_>,
    policy: &TickPolicy,
    watermark: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Due {
    // Just before the window, because intervals exclude their start.
    let before_window = policy.catch_up.earliest(now) - TimeDelta::microseconds(1);
    let window_opens = before_window.clamp(watermark, now);
    let mut firing = undecided.schedule.newest_in(window_opens, now, max_runs(policy));
    let skipped_until = firing.first().map_or(now, |first| *first - TimeDelta::microseconds(1));
    let (old, why_old) = outside(policy);
    let (recent, why_recent) = inside(policy);
    let mut skipped = undecided.ranges(watermark, window_opens.min(skipped_until), old, &why_old);
    skipped.extend(undecided.ranges(window_opens, skipped_until, recent, &why_recent));
    firing.retain(|tick| !undecided.fired.contains(tick));
    Due { skipped, firing }
}

/// Maximum number of runs of one decision.
fn max_runs(policy: &TickPolicy) -> usize {
    match (policy.catch_up.mode(), policy.overlap()) {
        (CatchUpMode::All, Overlap::Skip | Overlap::Queue | Overlap::Allow) => {
            policy.catch_up.limit()
        }
        // Each of several runs would cancel the previous one.
        (CatchUpMode::All, Overlap::CancelRunning)
        | (CatchUpMode::LatestOnly | CatchUpMode::Skip, _) => 1,
    }
}

/// Decision about ticks before the window.
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
                "no server decided it within the grace period of {grace}, and the catch-up mode is skip"
            );
            (Decision::Missed, reason)
        }
    }
}

/// Decision about ticks in the window that do not fire.
fn inside(policy: &TickPolicy) -> (Decision, String) {
    if max_runs(policy) == 1 {
        let reason = "it was decided together with a later tick, which replaced it";
        return (Decision::Merged, reason.to_owned());
    }
    let limit = policy.catch_up.limit();
    let reason =
        format!("no server decided it in time, and catch-up is limited to the newest {limit}");
    (Decision::Missed, reason)
}
