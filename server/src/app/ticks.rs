//! Deciding ticks: for the scheduler, and before every change of a schedule.
//!
//! The decision itself is pure (`domain::tick`). This module locks the schedules, collects the runs that may
//! overlap, and writes the decisions in one transaction.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, Postgres, Transaction};

use super::tick_plans::{Decide, Writes, plan};
use super::{App, AppError, commit, rearm, run_log};
use crate::domain::id::{RunId, ScheduledJobId};
use crate::domain::run::{Event, Run};
use crate::domain::scheduled_job::ScheduledJob;
use crate::domain::tick;
use crate::store::revisions;
use crate::store::ticks;
use crate::store::{StoreError, runs, scheduled_jobs};

/// Result of one pass over the due schedules.
#[derive(Debug, Default)]
pub struct TickReport {
    /// Number of schedules whose ticks were decided.
    pub schedules: usize,
    /// Runs that were created.
    pub fired: Vec<RunId>,
    /// Jobs whose ticks could not be decided, with the error. They stay due.
    pub failed: Vec<(String, AppError)>,
}

impl TickReport {
    pub(crate) fn add(&mut self, other: Self) {
        self.schedules += other.schedules;
        self.fired.extend(other.fired);
        self.failed.extend(other.failed);
    }
}

/// The runs that a batch of decisions has changed.
struct Written {
    fired: Vec<RunId>,
    /// Runs that were cancelled, or whose workers have to stop. To be logged after the commit.
    cancelled: Vec<Run>,
}

impl App {
    /// Decides the ticks of up to `limit` due schedules, except those in `except`, in one transaction. If
    /// that fails, decides them one by one, so that an invalid schedule cannot stop the others.
    pub async fn decide_due(&self, except: &[String], limit: i64) -> Result<TickReport, AppError> {
        let now = self.now();
        let mut tx = self.begin().await?;
        let due = scheduled_jobs::scheduled_jobs_lock_due(&mut tx, except, limit, now).await?;
        let (jobs, mut report) = split_invalid(due);
        if jobs.is_empty() {
            return Ok(report);
        }
        let ids: Vec<ScheduledJobId> = jobs.iter().map(|job| job.id.clone()).collect();
        // Ticks that have fired while the clock was ahead are not read here, because there are almost never any:
        // firing one again fails, and then the jobs are decided singly.
        let together = match self.decide_locked(&mut tx, jobs, Vec::new(), now).await {
            Ok(written) => commit_decisions(tx, written).await,
            Err(error) => {
                // Release the locks, which decide_singly needs.
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
            self.ticks_committed();
        }
        Ok(report)
    }

    /// The earliest time at which a schedule is due.
    pub async fn next_due(&self, except: &[String]) -> Result<Option<DateTime<Utc>>, AppError> {
        let mut conn = self.acquire().await?;
        Ok(scheduled_jobs::scheduled_jobs_next_due(&mut conn, except).await?)
    }

    /// Decides the ticks up to now of a job whose schedule is locked and about to change. The returned job
    /// has the new watermark, which the caller has to write. The cancelled runs are to be logged after the
    /// commit.
    pub(super) async fn decide_up_to_now(
        &self,
        conn: &mut PgConnection,
        job: ScheduledJob,
        decide: Decide,
        now: DateTime<Utc>,
    ) -> Result<(ScheduledJob, Vec<Run>), AppError> {
        let id = job.id.clone();
        let (job, fired) = rearm::rearm(conn, job, now).await?;
        let mut writes = plan(conn, vec![job], fired, decide, now).await?;
        let job = writes.moved.pop().ok_or(AppError::ScheduledJobNotFound(id))?;
        if !writes.resumed.is_empty() {
            // The end of the pause is a revision of its own, before the one of the coming change.
            scheduled_jobs::schedules_write(conn, std::slice::from_ref(&job)).await?;
        }
        let written = self.write_decided(conn, writes, now).await?;
        Ok((job, written.cancelled))
    }

    /// Signals committed ticks, which may have created runs and cancelled others.
    pub(super) fn ticks_committed(&self) {
        self.work_committed();
        self.signals.leases_changed.notify_waiters();
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
        let fired = match jobs.first() {
            Some(job) => ticks::ticks_fired_after(&mut tx, id, job.gate.watermark).await?,
            None => Vec::new(),
        };
        let written = self.decide_locked(&mut tx, jobs, fired, now).await?;
        commit_decisions(tx, written).await
    }

    async fn decide_locked(
        &self,
        conn: &mut PgConnection,
        jobs: Vec<ScheduledJob>,
        fired: Vec<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Result<Written, AppError> {
        let mut writes = plan(conn, jobs, fired, tick::decide, now).await?;
        scheduled_jobs::schedules_write(conn, &std::mem::take(&mut writes.moved)).await?;
        self.write_decided(conn, writes, now).await
    }

    /// Inserts the runs of the ticks that fire, writes the ledger, and cancels overlapping runs.
    async fn write_decided(
        &self,
        conn: &mut PgConnection,
        writes: Writes,
        now: DateTime<Utc>,
    ) -> Result<Written, AppError> {
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
        let mut changed = Vec::new();
        if !cancelled.is_empty() {
            let open = runs::runs_lock(conn, &cancelled).await?.into_iter();
            // `apply` rejects runs that have ended since, or whose cancellation was requested before.
            changed = open.filter_map(|run| run.apply(Event::CancelRequested, now).ok()).collect();
            runs::runs_write(conn, &changed).await?;
        }
        let fired = made.iter().map(|run| run.spec.id.clone()).collect();
        Ok(Written { fired, cancelled: changed })
    }
}

async fn commit_decisions(
    tx: Transaction<'static, Postgres>,
    written: Written,
) -> Result<Vec<RunId>, AppError> {
    commit(tx).await?;
    run_log::log_changed(&written.cancelled);
    Ok(written.fired)
}

/// Separates the jobs with valid settings from the others, which go to the report with their error.
fn split_invalid(
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
