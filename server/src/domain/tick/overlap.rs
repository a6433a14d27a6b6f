//! What a tick that could fire does while runs of earlier ticks have not ended.

use chrono::{DateTime, Utc};

use super::{Decision, TickContext, TickOutcome, TickPlan};
use crate::domain::id::RunId;
use crate::domain::run::Origin;
use crate::domain::scheduled_job::ScheduledJob;
use crate::domain::tick_policy::Overlap;

/// Decides ticks in order of time; a run that one of them makes is in the way of the next.
pub(super) fn fire(
    job: &ScheduledJob,
    situation: &TickContext,
    ticks: &[DateTime<Utc>],
    verdict: &mut TickPlan,
) {
    let mut unfinished = situation.unfinished.clone();
    for tick in ticks {
        let (decision, reason, blocking) = decide(job.settings.ticks.overlap(), &unfinished);
        if decision == Decision::Fired {
            if job.settings.ticks.overlap() == Overlap::CancelRunning {
                verdict.cancelled.append(&mut unfinished);
            }
            unfinished.push(RunId::new(Origin::Scheduled, Some(&job.id), *tick, situation.random));
        }
        let fired = decision == Decision::Fired;
        verdict.decided.push(TickOutcome {
            tick_at: *tick,
            until: *tick,
            count: 1,
            decision,
            reason,
            blocking,
            starts_at: fired.then(|| job.settings.ticks.starts_at(&job.id, *tick)),
        });
    }
}

fn decide(overlap: Overlap, unfinished: &[RunId]) -> (Decision, String, Option<RunId>) {
    let (Some(oldest), Some(newest)) = (unfinished.first(), unfinished.last()) else {
        return (Decision::Fired, String::new(), None);
    };
    match overlap {
        Overlap::Allow => (Decision::Fired, String::new(), None),
        Overlap::Skip => {
            let reason = format!("run {oldest} of an earlier tick had not ended");
            (Decision::SkippedOverlap, reason, Some(oldest.clone()))
        }
        Overlap::Queue if unfinished.len() > 1 => {
            let reason = format!("run {newest} of an earlier tick was waiting already");
            (Decision::QueueFull, reason, Some(newest.clone()))
        }
        Overlap::Queue => {
            let reason = format!("its run waits for the end of run {newest} of an earlier tick");
            (Decision::Fired, reason, Some(newest.clone()))
        }
        Overlap::CancelRunning => {
            let reason = format!("run {newest} of an earlier tick is cancelled for its run");
            (Decision::Fired, reason, Some(newest.clone()))
        }
    }
}
