//! Plans: what the decisions about due ticks have to write.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::AppError;
use crate::domain::id::RunId;
use crate::domain::revision::Change;
use crate::domain::run::{NewRun, Origin, Run};
use crate::domain::scheduled_job::ScheduledJob;
use crate::domain::tick::{Decision, TickContext, TickOutcome, TickPlan};
use crate::store::revisions::NewRevision;
use crate::store::ticks::{self, LedgerRow};

/// The pure decision about one schedule.
pub(super) type Decide = fn(&ScheduledJob, &TickContext, DateTime<Utc>) -> TickPlan;

/// Everything that a batch of decisions has to write.
#[derive(Default)]
pub(super) struct Writes {
    pub(super) moved: Vec<ScheduledJob>,
    pub(super) made: Vec<Run>,
    pub(super) rows: Vec<LedgerRow>,
    pub(super) cancelled: Vec<RunId>,
    pub(super) resumed: Vec<NewRevision>,
}

/// `fired` are the ticks of a single job that have fired already.
pub(super) async fn plan(
    conn: &mut PgConnection,
    jobs: Vec<ScheduledJob>,
    fired: Vec<DateTime<Utc>>,
    decide: Decide,
    now: DateTime<Utc>,
) -> Result<Writes, AppError> {
    let ids: Vec<String> = jobs.iter().map(|job| job.id.to_string()).collect();
    let mut unfinished: BTreeMap<String, Vec<RunId>> = BTreeMap::new();
    for (job, run) in ticks::ticks_unfinished(conn, &ids).await? {
        unfinished.entry(job).or_default().push(run);
    }
    let mut writes = Writes::default();
    for job in jobs {
        let unfinished = unfinished.remove(job.id.as_str()).unwrap_or_default();
        let fired = fired.clone();
        let context = TickContext { unfinished, fired, random: rand::random() };
        let plan = decide(&job, &context, now);
        writes.add(job, plan, context.random, now);
    }
    Ok(writes)
}

impl Writes {
    fn add(&mut self, job: ScheduledJob, plan: TickPlan, random: u64, now: DateTime<Utc>) {
        let paused_revision = job.revision;
        let mut job = ScheduledJob { gate: plan.gate, ..job };
        if let Some(valid_from) = plan.pause_ended {
            job.revision += 1;
            self.resumed.push(NewRevision {
                scheduled_job_id: job.id.clone(),
                number: job.revision,
                valid_from,
                change: Change::Resumed,
                changed_by: String::new(),
            });
        }
        for decided in plan.outcomes {
            let run = run_of(&job, &decided, random, now);
            let revision = match decided.decision {
                Decision::Paused => paused_revision,
                Decision::Fired
                | Decision::SkippedOverlap
                | Decision::QueueFull
                | Decision::Merged
                | Decision::Missed
                | Decision::OutsideWindow => job.revision,
            };
            let job_id = run.as_ref().map(|run| run.spec.id.clone());
            let scheduled_job_id = job.id.clone();
            self.rows.push(LedgerRow { scheduled_job_id, decided, job_id, revision });
            self.made.extend(run);
        }
        self.cancelled.extend(plan.runs_to_cancel);
        self.moved.push(job);
    }
}

fn run_of(
    job: &ScheduledJob,
    decided: &TickOutcome,
    random: u64,
    now: DateTime<Utc>,
) -> Option<Run> {
    if decided.decision != Decision::Fired {
        return None;
    }
    let new = NewRun {
        priority: job.settings.priority,
        available_at: decided.starts_at,
        queued: decided.blocking.is_some(),
        ..job.run_of_tick(Origin::Scheduled, decided.tick_at)
    };
    Some(Run::new(new, now, random))
}
