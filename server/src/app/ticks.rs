//! Deciding ticks: the scheduler's work, and the first thing that whoever changes a schedule does.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{App, AppError, commit};
use crate::domain::id::{RunId, ScheduledJobId};
use crate::domain::run::{NewRun, Origin, Run};
use crate::domain::scheduled_job::ScheduledJob;
use crate::domain::tick::{self, Decided, Decision, Verdict};
use crate::store::scheduled_jobs;
use crate::store::ticks::{self, LedgerRow};
use crate::store::{StoreError, runs};

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
type Decide = fn(&ScheduledJob, Option<&RunId>, DateTime<Utc>) -> Verdict;

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
        let together = match self.decide_locked(&mut tx, jobs, decide_due, now).await {
            Ok((_, fired)) => commit(tx).await.map(|()| fired),
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
            self.runs_made();
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
        now: DateTime<Utc>,
    ) -> Result<ScheduledJob, AppError> {
        let settle: Decide = |job, unfinished, now| {
            tick::settle(&job.settings.schedule, job.gate.clone(), unfinished, now)
        };
        let id = job.id.clone();
        let (mut jobs, _fired) = self.decide_unwritten(conn, vec![job], settle, now).await?;
        jobs.pop().ok_or(AppError::ScheduledJobNotFound(id))
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
        let jobs = job.into_iter().collect();
        let (_, fired) = self.decide_locked(&mut tx, jobs, decide_due, now).await?;
        commit(tx).await?;
        Ok(fired)
    }

    async fn decide_locked(
        &self,
        conn: &mut PgConnection,
        jobs: Vec<ScheduledJob>,
        decide: Decide,
        now: DateTime<Utc>,
    ) -> Result<(Vec<ScheduledJob>, Vec<RunId>), AppError> {
        let (jobs, fired) = self.decide_unwritten(conn, jobs, decide, now).await?;
        scheduled_jobs::schedules_write(conn, &jobs).await?;
        Ok((jobs, fired))
    }

    /// Decides, inserts the runs of the ticks that fire and fills the ledger; the gates are moved
    /// but not written.
    async fn decide_unwritten(
        &self,
        conn: &mut PgConnection,
        jobs: Vec<ScheduledJob>,
        decide: Decide,
        now: DateTime<Utc>,
    ) -> Result<(Vec<ScheduledJob>, Vec<RunId>), AppError> {
        let ids: Vec<String> = jobs.iter().map(|job| job.id.to_string()).collect();
        let unfinished: BTreeMap<_, _> =
            ticks::ticks_unfinished(conn, &ids).await?.into_iter().collect();
        let (mut moved, mut made, mut rows) = (Vec::new(), Vec::new(), Vec::new());
        for mut job in jobs {
            job.settings.schedule = self.timed(job.settings.schedule);
            let verdict = decide(&job, unfinished.get(job.id.as_str()), now);
            for decided in verdict.decided {
                let run = run_of(&job, &decided, now);
                rows.push(ledger_row(&job, decided, run.as_ref()));
                made.extend(run);
            }
            moved.push(ScheduledJob { gate: verdict.gate, ..job });
        }
        if !made.is_empty() {
            runs::runs_insert(conn, &made).await?;
        }
        if !rows.is_empty() {
            ticks::ticks_insert(conn, &rows, now).await?;
        }
        Ok((moved, made.into_iter().map(|run| run.id).collect()))
    }
}

fn decide_due(job: &ScheduledJob, unfinished: Option<&RunId>, now: DateTime<Utc>) -> Verdict {
    tick::decide(&job.settings.schedule, job.gate.clone(), unfinished, now)
}

fn readable(
    due: Vec<(String, Result<ScheduledJob, StoreError>)>,
) -> (Vec<ScheduledJob>, TickReport) {
    let mut report = TickReport::default();
    let mut jobs = Vec::new();
    for (id, job) in due {
        match job {
            Ok(job) => jobs.push(job),
            Err(error) => report.failed.push((id, error.into())),
        }
    }
    (jobs, report)
}

fn run_of(job: &ScheduledJob, decided: &Decided, now: DateTime<Utc>) -> Option<Run> {
    let new = NewRun {
        origin: Origin::Scheduled,
        scheduled_job_id: Some(job.id.clone()),
        original_job_id: None,
        priority: job.settings.priority,
        parameters: job.settings.parameters.clone(),
        requested_by: String::new(),
        labels: job.settings.labels.clone(),
        tick_at: Some(decided.tick_at),
        available_at: None,
        policy: job.settings.policy.clone(),
    };
    (decided.decision == Decision::Fired).then(|| Run::new(new, now, rand::random()))
}

fn ledger_row(job: &ScheduledJob, decided: Decided, run: Option<&Run>) -> LedgerRow {
    let job_id = run.map(|run| run.id.clone());
    LedgerRow { scheduled_job_id: job.id.clone(), decided, job_id }
}
