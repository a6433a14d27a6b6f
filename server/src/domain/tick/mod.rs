//! What becomes of the ticks that are due: which ones fire, and why the others do not.
//!
//! The watermark is the gate: every tick at or before it is decided, for ever. A decision covers
//! every tick after the watermark up to now, so that each tick is decided once and has its row in
//! the ledger, alone or in a range.
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

use chrono::{DateTime, Utc};
use strum::{Display, EnumString, IntoStaticStr};

use super::id::RunId;
use super::schedule::Schedule;
use super::scheduled_job::{ScheduleState, ScheduledJob, Status};

/// Ranges count their ticks up to here; longer ones have at least so many.
pub const COUNT_LIMIT: u64 = 10_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Decision {
    /// It made a run.
    Fired,
    /// The run of an earlier tick had not ended.
    SkippedOverlap,
    /// The run of an earlier tick was waiting already.
    QueueFull,
    /// A later tick that was decided with it stands for it.
    Merged,
    /// Nobody decided it in time, and it is not made up for.
    Missed,
    /// It was older than the catch-up window.
    OutsideWindow,
    /// Ticks made no runs then.
    Paused,
}

/// One tick or a range of ticks, decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TickOutcome {
    /// The tick, or the first of a range.
    pub tick_at: DateTime<Utc>,
    /// The last of a range, else the tick.
    pub until: DateTime<Utc>,
    /// How many, counted up to [`COUNT_LIMIT`].
    pub count: u64,
    pub decision: Decision,
    /// Why, as a phrase; empty if it fired on its own.
    pub reason: String,
    /// The run of an earlier tick that was in its way, or that its run waits for.
    pub blocking: Option<RunId>,
    /// When its run may begin, if it fired.
    pub starts_at: Option<DateTime<Utc>>,
}

/// What a decision has to know besides the job.
#[derive(Clone, Debug, Default)]
pub struct TickContext {
    /// The job's runs of earlier ticks that have not ended, the oldest first. Triggered ones are none.
    pub unfinished: Vec<RunId>,
    /// Becomes part of the ids of new runs.
    pub random: u64,
}

/// The decision about all that is due: the rows of the ledger and the gate after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TickPlan {
    /// In order of time.
    pub decided: Vec<TickOutcome>,
    /// Runs of earlier ticks that are to be cancelled.
    pub cancelled: Vec<RunId>,
    /// When the pause was over, if it ended by itself.
    pub pause_ended: Option<DateTime<Utc>>,
    /// The gate with its watermark at `now`.
    pub gate: ScheduleState,
}

/// Decides everything that is due at `now`.
///
/// A pause that ran out is ended first, at its own end. While the gate is closed nothing is due.
pub fn decide(job: &ScheduledJob, situation: &TickContext, now: DateTime<Utc>) -> TickPlan {
    // A clock that stepped back decides nothing: the watermark never moves back.
    let now = now.max(job.gate.watermark);
    let mut verdict = TickPlan {
        decided: Vec::new(),
        cancelled: Vec::new(),
        pause_ended: job.gate.pause_end(now),
        gate: job.gate.clone(),
    };
    let schedule = &job.settings.schedule;
    if let Some(end) = verdict.pause_ended {
        verdict.pass_held(schedule, end);
        verdict.gate = verdict.gate.with_status(Status::Active, schedule);
    }
    if verdict.gate.is_open() {
        let due = catch_up::sort(schedule, &job.settings.ticks, verdict.gate.watermark, now);
        verdict.decided.extend(due.passed);
        overlap::fire(job, situation, &due.firing, &mut verdict);
        verdict.gate = ScheduleState { watermark: now, ..verdict.gate }.with_next_tick(schedule);
    }
    verdict
}

/// Like [`decide`], but also decides the ticks of a closed gate, which made no runs: what somebody
/// does who is about to change settings or status, so that the old ones hold up to now.
pub fn settle(job: &ScheduledJob, situation: &TickContext, now: DateTime<Utc>) -> TickPlan {
    let now = now.max(job.gate.watermark);
    let mut verdict = decide(job, situation, now);
    verdict.pass_held(&job.settings.schedule, now);
    verdict
}

impl TickPlan {
    /// Records the ticks up to `at` that made no runs because the gate was closed, and moves the
    /// watermark there.
    fn pass_held(&mut self, schedule: &Schedule, at: DateTime<Utc>) {
        let gate = &mut self.gate;
        let reason = match (gate.deleted_at, gate.status) {
            (Some(_), _) => "the job was deleted",
            (None, Status::Paused) => "the job was paused",
            (None, Status::Inactive) => "the job was inactive",
            (None, Status::Active) => return,
        };
        self.decided.extend(range(schedule, gate.watermark, at, Decision::Paused, reason));
        gate.watermark = gate.watermark.max(at);
    }
}

/// The ticks after `after` up to `until` as one row, if there are any.
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
