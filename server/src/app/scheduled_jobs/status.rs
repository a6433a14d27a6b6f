//! Changes of a job's status: pause, resume, deactivate, delete, undelete.
//!
//! Each first decides the due ticks under the old status, and then moves the watermark to now.

use chrono::{DateTime, Utc};
use sqlx::{Postgres, Transaction};

use super::{check_etag, write_schedule_and_revision};
use crate::app::{App, AppError, commit, run_log};
use crate::domain::id::ScheduledJobId;
use crate::domain::revision::Change;
use crate::domain::run::{Event, Run};
use crate::domain::schedule::Schedule;
use crate::domain::scheduled_job::{NAME_LENGTH, ScheduleState, ScheduledJob, Status};
use crate::domain::text::check_line;
use crate::domain::tick;
use crate::store::{runs, scheduled_jobs};

/// Handling of the ticks during a pause that a Resume ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldTicks {
    /// Record them as paused, without runs.
    Record,
    /// Decide them by the catch-up policy.
    CatchUp,
}

/// A change of status that is about to be written.
struct StatusChange<'a> {
    change: Change,
    changed_by: &'a str,
    now: DateTime<Utc>,
}

impl App {
    /// Pauses a job, or replaces the reason and the end of its pause.
    pub async fn pause_scheduled_job(
        &self,
        id: &ScheduledJobId,
        reason: String,
        until: Option<DateTime<Utc>>,
        changed_by: &str,
    ) -> Result<ScheduledJob, AppError> {
        let now = self.now();
        if !reason.is_empty() {
            check_line(&reason, NAME_LENGTH).map_err(|text| AppError::invalid("reason", text))?;
        }
        if until.is_some_and(|until| until <= now) {
            return Err(AppError::invalid("paused_until", "must be in the future"));
        }
        let (tx, job) = self.lock_undeleted(id).await?;
        let change = StatusChange { change: Change::Paused, changed_by, now };
        self.change_status(tx, job, change, |gate, schedule| ScheduleState {
            pause_reason: reason,
            paused_until: until,
            ..gate.with_status(Status::Paused, schedule)
        })
        .await
    }

    /// Activates a paused or inactive job. On an active job it has no effect, unless the clock was ahead when its
    /// ticks were decided.
    pub async fn resume_scheduled_job(
        &self,
        id: &ScheduledJobId,
        held: HeldTicks,
        changed_by: &str,
    ) -> Result<ScheduledJob, AppError> {
        let (mut tx, job) = self.lock_undeleted(id).await?;
        let now = self.now();
        if job.gate.status == Status::Active && !job.gate.is_ahead(now) {
            return Ok(job);
        }
        let change = StatusChange { change: Change::Resumed, changed_by, now };
        if held == HeldTicks::Record {
            return self
                .change_status(tx, job, change, |gate, schedule| {
                    gate.with_status(Status::Active, schedule)
                })
                .await;
        }
        // The watermark is still at the start of the pause, so the ticks since then become due.
        let gate = job.gate.clone().with_status(Status::Active, &job.settings.schedule);
        let job = ScheduledJob { gate, revision: job.revision + 1, ..job };
        let since = job.gate.watermark.min(now);
        let (job, cancelled) =
            self.decide_up_to_now(&mut tx, job, tick::decide, change.now).await?;
        let job = ScheduledJob { updated_at: change.now, ..job };
        write_schedule_and_revision(&mut tx, &job, since, change.change, changed_by).await?;
        self.commit_schedule(tx, &cancelled).await?;
        Ok(job)
    }

    /// Deactivates a job. On an inactive job it has no effect.
    pub async fn deactivate_scheduled_job(
        &self,
        id: &ScheduledJobId,
        changed_by: &str,
    ) -> Result<ScheduledJob, AppError> {
        let (tx, job) = self.lock_undeleted(id).await?;
        if job.gate.status == Status::Inactive {
            return Ok(job);
        }
        let change = StatusChange { change: Change::Deactivated, changed_by, now: self.now() };
        self.change_status(tx, job, change, |gate, schedule| {
            gate.with_status(Status::Inactive, schedule)
        })
        .await
    }

    /// Deletes a job and cancels its pending runs. On a deleted job it has no effect.
    pub async fn delete_scheduled_job(
        &self,
        id: &ScheduledJobId,
        etag: &str,
        changed_by: &str,
    ) -> Result<ScheduledJob, AppError> {
        let now = self.now();
        let (mut tx, job) = self.lock(id).await?;
        check_etag(&job, etag)?;
        if job.gate.deleted_at.is_some() {
            return Ok(job);
        }
        let (job, overlapping) =
            self.decide_up_to_now(&mut tx, job, tick::decide_up_to_now, now).await?;
        let gate = ScheduleState { deleted_at: Some(now), ..job.gate }
            .with_next_tick(&job.settings.schedule);
        let job = ScheduledJob { gate, revision: job.revision + 1, updated_at: now, ..job };
        let since = job.gate.watermark;
        // A concurrent trigger has committed its run before the revision is written, or finds the job deleted.
        write_schedule_and_revision(&mut tx, &job, since, Change::Deleted, changed_by).await?;
        let pending = runs::runs_lock_pending_of(&mut tx, id).await?;
        let cancel = |run: Run| run.apply(Event::CancelRequested, now).map_err(AppError::RunEnded);
        let cancelled = pending.into_iter().map(cancel).collect::<Result<Vec<_>, _>>()?;
        runs::runs_write(&mut tx, &cancelled).await?;
        // The cancelled runs have changed the history.
        let job = scheduled_jobs::scheduled_job_get(&mut tx, id).await?.unwrap_or(job);
        commit(tx).await?;
        run_log::log_changed(overlapping.iter().chain(&cancelled));
        self.ticks_committed();
        Ok(job)
    }

    /// Restores a deleted job with its former status. Ticks since the deletion are not run.
    pub async fn undelete_scheduled_job(
        &self,
        id: &ScheduledJobId,
        changed_by: &str,
    ) -> Result<ScheduledJob, AppError> {
        let (tx, job) = self.lock(id).await?;
        if job.gate.deleted_at.is_none() {
            return Err(AppError::JobNotDeleted(job.id));
        }
        let change = StatusChange { change: Change::Undeleted, changed_by, now: self.now() };
        self.change_status(tx, job, change, |gate, schedule| {
            ScheduleState { deleted_at: None, ..gate }.with_next_tick(schedule)
        })
        .await
    }

    async fn change_status(
        &self,
        mut tx: Transaction<'static, Postgres>,
        job: ScheduledJob,
        change: StatusChange<'_>,
        apply: impl FnOnce(ScheduleState, &Schedule) -> ScheduleState,
    ) -> Result<ScheduledJob, AppError> {
        let (job, cancelled) =
            self.decide_up_to_now(&mut tx, job, tick::decide_up_to_now, change.now).await?;
        let gate = apply(job.gate, &job.settings.schedule);
        let revision = job.revision + 1;
        let job = ScheduledJob { gate, revision, updated_at: change.now, ..job };
        let since = job.gate.watermark;
        write_schedule_and_revision(&mut tx, &job, since, change.change, change.changed_by).await?;
        self.commit_schedule(tx, &cancelled).await?;
        Ok(job)
    }
}
