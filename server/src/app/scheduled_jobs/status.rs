//! Holding, switching off, deleting, and back. Each settles what is due and then moves the gate.

use chrono::{DateTime, Utc};
use sqlx::{Postgres, Transaction};

use super::check_etag;
use crate::app::changes::write_changed;
use crate::app::{App, AppError, commit};
use crate::domain::id::ScheduledJobId;
use crate::domain::run::{Event, Run};
use crate::domain::schedule::Schedule;
use crate::domain::scheduled_job::{Gate, NAME_LENGTH, ScheduledJob, Status};
use crate::domain::text::check_line;
use crate::store::{runs, scheduled_jobs};

impl App {
    /// Holds a job, or replaces reason and end of a pause.
    pub async fn pause_scheduled_job(
        &self,
        id: &ScheduledJobId,
        reason: String,
        until: Option<DateTime<Utc>>,
    ) -> Result<ScheduledJob, AppError> {
        let now = self.now();
        if !reason.is_empty() {
            check_line(&reason, NAME_LENGTH).map_err(|text| AppError::invalid("reason", text))?;
        }
        if until.is_some_and(|until| until <= now) {
            return Err(AppError::invalid("paused_until", "must be in the future"));
        }
        let (tx, job) = self.lock_undeleted(id).await?;
        self.change_gate(tx, job, now, |gate, schedule| Gate {
            pause_reason: reason,
            paused_until: until,
            ..gate.with_status(Status::Paused, schedule)
        })
        .await
    }

    /// Makes a paused or inactive job active, from now on.
    pub async fn resume_scheduled_job(
        &self,
        id: &ScheduledJobId,
    ) -> Result<ScheduledJob, AppError> {
        self.change_status(id, Status::Active).await
    }

    /// Switches a job off.
    pub async fn deactivate_scheduled_job(
        &self,
        id: &ScheduledJobId,
    ) -> Result<ScheduledJob, AppError> {
        self.change_status(id, Status::Inactive).await
    }

    /// Deletes a job and cancels its pending runs. Deleting a deleted one changes nothing.
    pub async fn delete_scheduled_job(
        &self,
        id: &ScheduledJobId,
        etag: &str,
    ) -> Result<ScheduledJob, AppError> {
        let now = self.now();
        let (mut tx, job) = self.lock(id).await?;
        check_etag(&job, etag)?;
        if job.gate.deleted_at.is_some() {
            return Ok(job);
        }
        let job = self.settle(&mut tx, job, now).await?;
        let gate = Gate { deleted_at: Some(now), ..job.gate }.armed(&job.settings.schedule);
        let job = ScheduledJob { gate, updated_at: now, ..job };
        scheduled_jobs::schedules_write(&mut tx, std::slice::from_ref(&job)).await?;
        // Triggers that are under way come before, with their runs, or find the job deleted.
        scheduled_jobs::settings_lock(&mut tx, id).await?;
        let pending = runs::runs_lock_pending_of(&mut tx, id).await?;
        let cancel = |run: Run| run.apply(Event::CancelRequested, now).map_err(AppError::RunEnded);
        let cancelled = pending.into_iter().map(cancel).collect::<Result<Vec<_>, _>>()?;
        write_changed(&mut tx, &cancelled).await?;
        // Cancelling has changed the history.
        let job = scheduled_jobs::scheduled_job_get(&mut tx, id).await?.unwrap_or(job);
        commit(tx).await?;
        self.events_written();
        Ok(job)
    }

    /// Restores a deleted job with its former status, from now on.
    pub async fn undelete_scheduled_job(
        &self,
        id: &ScheduledJobId,
    ) -> Result<ScheduledJob, AppError> {
        let (tx, job) = self.lock(id).await?;
        if job.gate.deleted_at.is_none() {
            return Err(AppError::JobNotDeleted(job.id));
        }
        let now = self.now();
        self.change_gate(tx, job, now, |gate, schedule| {
            Gate { deleted_at: None, ..gate }.armed(schedule)
        })
        .await
    }

    async fn change_status(
        &self,
        id: &ScheduledJobId,
        status: Status,
    ) -> Result<ScheduledJob, AppError> {
        let (tx, job) = self.lock_undeleted(id).await?;
        if job.gate.status == status {
            return Ok(job);
        }
        let now = self.now();
        self.change_gate(tx, job, now, |gate, schedule| gate.with_status(status, schedule)).await
    }

    async fn change_gate(
        &self,
        mut tx: Transaction<'static, Postgres>,
        job: ScheduledJob,
        now: DateTime<Utc>,
        change: impl FnOnce(Gate, &Schedule) -> Gate,
    ) -> Result<ScheduledJob, AppError> {
        let job = self.settle(&mut tx, job, now).await?;
        let gate = change(job.gate, &self.timed(job.settings.schedule.clone()));
        let job = ScheduledJob { gate, updated_at: now, ..job };
        scheduled_jobs::schedules_write(&mut tx, std::slice::from_ref(&job)).await?;
        self.commit_schedule(tx).await?;
        Ok(job)
    }
}
