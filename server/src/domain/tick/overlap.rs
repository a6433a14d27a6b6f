//! Overlap policy: decisions about ticks while runs of earlier ticks are unfinished.

use chrono::{DateTime, Utc};

use super::{Decision, TickContext, TickOutcome, TickPlan};
use crate::domain::id::RunId;
use crate::domain::run::Origin;
use crate::domain::scheduled_job::ScheduledJob;
use crate::domain::tick_policy::Overlap;

/// Decides ticks in order of time; a run that one of them creates blocks the next.
pub(super) fn fire(
    job: &ScheduledJob,
    context: &TickContext,
    ticks: &[DateTime<Utc>],
    plan: &mut TickPlan,
) {
    let mut unfinished = context.unfinished.clone();
    for tick in ticks {
        let (decision, reason, blocking) = decide(job.settings.ticks.overlap(), &unfinished);
        if decision == Decision::Fired {
            if job.settings.ticks.overlap() == Overlap::CancelRunning {
                plan.runs_to_cancel.append(&mut unfinished);
            }
            unfinished.push(RunId::new(Origin::Scheduled, Some(&job.id), *tick, context.random));
        }
        let fired = decision == Decision::Fired;
        plan.outcomes.push(TickOutcome {
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
            let reason = format!("run {oldest} of an earlier tick was unfinished");
            (Decision::SkippedOverlap, reason, Some(oldest.clone()))
        }
        Overlap::Queue if unfinished.len() > 1 => {
            let reason = format!("run {newest} of an earlier tick was already waiting");
            (Decision::QueueFull, reason, Some(newest.clone()))
        }
        Overlap::Queue => {
            let reason = format!("its run waits until run {newest} of an earlier tick has ended");
            (Decision::Fired, reason, Some(newest.clone()))
        }
        Overlap::CancelRunning => {
            let reason = format!("run {newest} of an earlier tick is cancelled first");
            (Decision::Fired, reason, Some(newest.clone()))
        }
    }
}
