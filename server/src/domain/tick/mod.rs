//! Decisions about due ticks: each one fires, or has a reason why it does not.
//!
//! Every tick at or before the watermark has been decided, permanently. A decision covers every tick
//! after the watermark up to now, so that each tick is decided once and has its row in the ledger, alone
//! or in a range.
//!
//! ```text
//!            window begins              now
//! watermark ──────┬──────────────────────┬─▶
//!   outside window│ merged, or missed │ fire: the latest, or the newest of all
//!                                       └─▶ overlap: fired, skipped, or queue full
//! ```

mod catch_up;
mod overlap;
#[cfg(test)]
mod tests;

use chrono::{DateTime, TimeDelta, Utc};
use strum::{Display, EnumString, IntoStaticStr};

use super::id::RunId;
use super::schedule::Schedule;
use super::scheduled_job::{ScheduleState, ScheduledJob, Status};

/// Maximum count of the ticks in a range; a range with this count may have more.
pub const COUNT_LIMIT: u64 = 10_000;

/// Decision about a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Decision {
    /// The tick created a run.
    Fired,
    /// The run of an earlier tick was unfinished.
    SkippedOverlap,
    /// The run of an earlier tick was already waiting.
    QueueFull,
    /// A later tick, decided together with it, replaced it.
    Merged,
    /// No server decided it in time, and the catch-up policy skips it.
    Missed,
    /// The tick was older than the catch-up window.
    OutsideWindow,
    /// The job was not active.
    Paused,
}

/// Outcome of one tick or of a range of ticks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TickOutcome {
    /// The tick, or the first of a range.
    pub tick_at: DateTime<Utc>,
    /// The last of a range, else the tick.
    pub until: DateTime<Utc>,
    /// Number of ticks, counted up to [`COUNT_LIMIT`].
    pub count: u64,
    pub decision: Decision,
    /// The reason as a phrase; empty if the tick fired regularly.
    pub reason: String,
    /// The run of an earlier tick that blocked it, or that its run waits for.
    pub blocking: Option<RunId>,
    /// Earliest start of its run, if it fired.
    pub starts_at: Option<DateTime<Utc>>,
}

/// Input of a decision besides the job.
#[derive(Clone, Debug, Default)]
pub struct TickContext {
    /// Unfinished runs of earlier ticks, oldest first, without triggered runs.
    pub unfinished: Vec<RunId>,
    /// Ticks after the watermark that have fired already, in order of time: while the clock was ahead.
    pub fired: Vec<DateTime<Utc>>,
    /// Random part of the ids of new runs.
    pub random: u64,
}

/// Decision about all due ticks: new rows of the ledger, and the state of the schedule afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TickPlan {
    /// In order of time.
    pub outcomes: Vec<TickOutcome>,
    /// Runs of earlier ticks to cancel.
    pub runs_to_cancel: Vec<RunId>,
    /// End of the pause, if it expired.
    pub pause_ended: Option<DateTime<Utc>>,
    /// The state with its watermark at `now`.
    pub gate: ScheduleState,
}

/// Decides all ticks that are due at `now`.
///
/// An expired pause ends first, at its own end. While the job is not active, nothing is due.
pub fn decide(job: &ScheduledJob, context: &TickContext, now: DateTime<Utc>) -> TickPlan {
    // After a clock step backwards nothing is decided: the watermark never moves back.
    let now = now.max(job.gate.watermark);
    let mut plan = TickPlan {
        outcomes: Vec::new(),
        runs_to_cancel: Vec::new(),
        pause_ended: job.gate.pause_end(now),
        gate: job.gate.clone(),
    };
    let schedule = &job.settings.schedule;
    let undecided = Undecided { schedule, fired: &context.fired };
    if let Some(end) = plan.pause_ended {
        plan.record_inactive_ticks(undecided, end);
        plan.gate = plan.gate.with_status(Status::Active, schedule);
    }
    if plan.gate.is_open() {
        let due = catch_up::due(undecided, &job.settings.ticks, plan.gate.watermark, now);
        plan.outcomes.extend(due.skipped);
        overlap::fire(job, context, &due.firing, &mut plan);
        plan.gate = ScheduleState { watermark: now, ..plan.gate }.with_next_tick(schedule);
    }
    plan
}

/// Like [`decide`], but also records the ticks of a job that is not active. Called before a change of
/// settings or status, so that the old ones apply up to now.
pub fn decide_up_to_now(job: &ScheduledJob, context: &TickContext, now: DateTime<Utc>) -> TickPlan {
    let now = now.max(job.gate.watermark);
    let mut plan = decide(job, context, now);
    let undecided = Undecided { schedule: &job.settings.schedule, fired: &context.fired };
    plan.record_inactive_ticks(undecided, now);
    plan
}

impl TickPlan {
    /// Records the ticks up to `at` that created no runs because the job was not active, and moves the
    /// watermark there.
    fn record_inactive_ticks(&mut self, undecided: Undecided<'_>, at: DateTime<Utc>) {
        let gate = &mut self.gate;
        let reason = match (gate.deleted_at, gate.status) {
            (Some(_), _) => "the job was deleted",
            (None, Status::Paused) => "the job was paused",
            (None, Status::Inactive) => "the job was inactive",
            (None, Status::Active) => return,
        };
        self.outcomes.extend(undecided.ranges(gate.watermark, at, Decision::Paused, reason));
        gate.watermark = gate.watermark.max(at);
    }
}

/// The ticks of a schedule without those that have fired already.
#[derive(Clone, Copy)]
struct Undecided<'a> {
    schedule: &'a Schedule,
    fired: &'a [DateTime<Utc>],
}

impl Undecided<'_> {
    /// The ticks after `after` and up to `until`: one row if there are any, or several around those that have
    /// fired.
    fn ranges(
        self,
        after: DateTime<Utc>,
        until: DateTime<Utc>,
        decision: Decision,
        reason: &str,
    ) -> Vec<TickOutcome> {
        let inside = self.fired.iter().filter(|tick| **tick > after && **tick <= until);
        let (mut begin, mut ranges) = (after, Vec::new());
        for tick in inside {
            let end = *tick - TimeDelta::microseconds(1);
            ranges.extend(range(self.schedule, begin, end, decision, reason));
            begin = *tick;
        }
        ranges.extend(range(self.schedule, begin, until, decision, reason));
        ranges
    }
}

/// The ticks after `after` and up to `until` as one row, if there are any.
fn range(
    schedule: &Schedule,
    after: DateTime<Utc>,
    until: DateTime<Utc>,
    decision: Decision,
    reason: &str,
) -> Option<TickOutcome> {
    let tick_at = schedule.next_after(after).filter(|tick| *tick <= until)?;
    let until = schedule.latest_in(after, until)?;
    let count = schedule.count_in(after, until, COUNT_LIMIT);
    let reason = reason.to_owned();
    Some(TickOutcome { tick_at, until, count, decision, reason, blocking: None, starts_at: None })
}
