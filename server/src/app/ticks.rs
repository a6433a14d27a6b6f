//! Deciding ticks: the scheduler's work, and the first thing that whoever changes a schedule does.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::write_runs::write_changed;
use super::{App, AppError, commit};
use crate::domain::id::{RunId, ScheduledJobId};
use crate::domain::revision::Change;
use crate::domain::run::{Event, NewRun, Origin, Run};
use crate::domain::scheduled_job::ScheduledJob;
use crate::domain::tick::{self, Decision, TickContext, TickOutcome, TickPlan};
use crate::store::revisions::{self, NewRevision};
use crate::store::ticks::{self, LedgerRow};
use crate::store::{StoreError, runs, scheduled_jobs};

/// What one pass over the due schedules did.
#[derive(Debug, Default)]
pub struct TickReport {
    /// Schedules that were decided.
    pub schedules: usize,
    /// Runs that were made.
    pub fired: Vec<RunId>,
    /// Jobs whose ticks could not be decided, with the reason. They stay due.
    pub failed: Vec<(String, AppError)>,
}

/// A decision before it is written: pure, and the same for one schedule and for many.
pub(super) type Decide = fn(&ScheduledJob, &TickContext, DateTime<Utc>) -> TickPlan;

/// What a batch of decisions asks to be written.
#[derive(Default)]
struct Writes {
    moved: Vec<ScheduledJob>,
    made: Vec<Run>,
    rows: Vec<LedgerRow>,
    cancelled: Vec<RunId>,
    resumed: Vec<NewRevision>,
}

impl App {
    /// Decides up to `limit` due schedules in one transaction, passing over those in `except`. When
    /// that fails, decides them one by one, so that one bad schedule cannot stop the others.
    pub async fn decide_due(&self, except: &[String], limit: i64) -> Result<TickReport, AppError> {
        let now = self.now();
        let mut tx = self.begin().await?;
        let due = scheduled_jobs::scheduled_jobs_lock_due(&mut tx, except, limit, now).await?;
        let (jobs, mut report) = readable(due);
        if jobs.is_empty() {
            return Ok(report);
        }
        let ids: Vec<ScheduledJobId> = jobs.iter().map(|job| job.id.clone()).collect();
        let together = match self.decide_locked(&mut tx, jobs, now).await {
            Ok(fired) => commit(tx).await.map(|()| fired),
            Err(error) => {
                // Roll back before the locks are needed again.
                drop(tx);
                Err(error)
            }
        };
        match together {
            Ok(fired) => {
                report.schedules += ids.len();
                report.fired = fired;
            }
            Err(AppError::Store(error)) if error.is_transient() => return Err(error.into()),
            Err(_) => self.decide_singly(&ids, &mut report, now).await,
        }
        if !report.fired.is_empty() {
            self.ticks_fired();
        }
        Ok(report)
    }

    /// When the next schedule is due.
    pub async fn next_due(&self, except: &[String]) -> Result<Option<DateTime<Utc>>, AppError> {
        let mut conn = self.acquire().await?;
        Ok(scheduled_jobs::scheduled_jobs_next_due(&mut conn, except).await?)
    }

    /// Decides everything up to now for a job whose schedule is locked and about to change. Its gate
    /// is moved but not written.
    pub(super) async fn settle(
        &self,
        conn: &mut PgConnection,
        job: ScheduledJob,
        decide: Decide,
        now: DateTime<Utc>,
    ) -> Result<ScheduledJob, AppError> {
        let id = job.id.clone();
        let mut writes = self.verdicts(conn, vec![job], decide, now).await?;
        let job = writes.moved.pop().ok_or(AppError::ScheduledJobNotFound(id))?;
        if !writes.resumed.is_empty() {
            // The end of the pause is a revision of its own, before the one that is about to come.
            scheduled_jobs::schedules_write(conn, std::slice::from_ref(&job)).await?;
        }
        self.write_decided(conn, writes, now).await?;
        Ok(job)
    }

    /// Ticks were committed that made runs, for which others may be cancelled.
    pub(super) fn ticks_fired(&self) {
        self.runs_made();
        self.signals.leases.notify_waiters();
    }

    async fn decide_singly(
        &self,
        ids: &[ScheduledJobId],
        report: &mut TickReport,
        now: DateTime<Utc>,
    ) {
        for id in ids {
            match self.decide_single(id, now).await {
                Ok(fired) => {
                    report.schedules += 1;
                    report.fired.extend(fired);
                }
                Err(error) => report.failed.push((id.to_string(), error)),
            }
        }
    }

    async fn decide_single(
        &self,
        id: &ScheduledJobId,
        now: DateTime<Utc>,
    ) -> Result<Vec<RunId>, AppError> {
        let mut tx = self.begin().await?;
        let job = scheduled_jobs::scheduled_job_lock(&mut tx, id).await?;
        let jobs: Vec<ScheduledJob> = job.into_iter().collect();
        if let Some(job) = jobs.iter().find(|job| !job.problems.is_empty()) {
            return Err(AppError::JobUnreadable(job.problems.clone()));
        }
        let fired = self.decide_locked(&mut tx, jobs, now).await?;
        commit(tx).await?;
        Ok(fired)
    }

    async fn decide_locked(
        &self,
        conn: &mut PgConnection,
        jobs: Vec<ScheduledJob>,
        now: DateTime<Utc>,
    ) -> Result<Vec<RunId>, AppError> {
        let mut writes = self.verdicts(conn, jobs, tick::decide, now).await?;
        scheduled_jobs::schedules_write(conn, &std::mem::take(&mut writes.moved)).await?;
        self.write_decided(conn, writes, now).await
    }

    async fn verdicts(
        &self,
        conn: &mut PgConnection,
        jobs: Vec<ScheduledJob>,
        decide: Decide,
        now: DateTime<Utc>,
    ) -> Result<Writes, AppError> {
        let ids: Vec<String> = jobs.iter().map(|job| job.id.to_string()).collect();
        let mut unfinished: BTreeMap<String, Vec<RunId>> = BTreeMap::new();
        for (job, run) in ticks::ticks_unfinished(conn, &ids).await? {
            unfinished.entry(job).or_default().push(run);
        }
        let mut writes = Writes::default();
        for mut job in jobs {
            job.settings.schedule = self.timed(job.settings.schedule);
            let unfinished = unfinished.remove(job.id.as_str()).unwrap_or_default();
            let situation = TickContext { unfinished, random: rand::random() };
            let verdict = decide(&job, &situation, now);
            writes.add(job, verdict, situation.random, now);
        }
        Ok(writes)
    }

    /// Inserts the runs of the ticks that fire, fills the ledger, and cancels what is in their way.
    async fn write_decided(
        &self,
        conn: &mut PgConnection,
        writes: Writes,
        now: DateTime<Utc>,
    ) -> Result<Vec<RunId>, AppError> {
        let Writes { made, rows, cancelled, resumed, moved: _ } = writes;
        if !resumed.is_empty() {
            revisions::revisions_insert(conn, &resumed).await?;
        }
        if !made.is_empty() {
            runs::runs_insert(conn, &made).await?;
        }
        if !rows.is_empty() {
            ticks::ticks_insert(conn, &rows, &self.server, now).await?;
        }
        if !cancelled.is_empty() {
            let open = runs::runs_lock(conn, &cancelled).await?.into_iter();
            // Those that have ended in between, or are asked already, are left alone.
            let changed: Vec<Run> =
                open.filter_map(|run| run.apply(Event::CancelRequested, now).ok()).collect();
            write_changed(conn, &changed).await?;
        }
        Ok(made.into_iter().map(|run| run.spec.id.clone()).collect())
    }
}

impl Writes {
    fn add(&mut self, job: ScheduledJob, verdict: TickPlan, random: u64, now: DateTime<Utc>) {
        let held_under = job.revision;
        let mut job = ScheduledJob { gate: verdict.gate, ..job };
        if let Some(valid_from) = verdict.pause_ended {
            job.revision += 1;
            self.resumed.push(NewRevision {
                scheduled_job_id: job.id.clone(),
                valid_from,
                change: Change::Resumed,
                changed_by: String::new(),
            });
        }
        for decided in verdict.decided {
            let run = run_of(&job, &decided, random, now);
            let revision = match decided.decision {
                Decision::Paused => held_under,
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
        self.cancelled.extend(verdict.cancelled);
        self.moved.push(job);
    }
}

/// Those whose stored settings can be read; of the others, why not.
fn readable(
    due: Vec<(String, Result<ScheduledJob, StoreError>)>,
) -> (Vec<ScheduledJob>, TickReport) {
    let mut report = TickReport::default();
    let mut jobs = Vec::new();
    for (id, job) in due {
        match job {
            Ok(job) if job.problems.is_empty() => jobs.push(job),
            Ok(job) => report.failed.push((id, AppError::JobUnreadable(job.problems))),
            Err(error) => report.failed.push((id, error.into())),
        }
    }
    (jobs, report)
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
