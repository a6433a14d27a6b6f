//! Calls for scheduled jobs.

mod actions;
mod create;
mod list;
mod stats;
mod update;

pub use actions::{DeleteJob, PauseJob, ResumeJob};
pub use create::CreateJob;
pub use list::ListJobs;
pub use stats::JobStats;
pub use update::UpdateJob;

use crate::error::required;
use crate::proto::{self, ScheduledJob};
use crate::{Client, Error};

impl Client {
    /// Creates a scheduled job. Safe to retry: a request id is generated unless `job` has one.
    ///
    /// ```no_run
    /// use windrow_client::{Client, CreateJob, Error};
    ///
    /// # async fn example(client: Client) -> Result<(), Error> {
    /// let job = CreateJob::new("Sold daily", "0 6 * * *").timezone("America/New_York");
    /// let job = client.create_job(job.location("46220").label("team", "sales")).await?;
    /// println!("{} runs next at {:?}", job.scheduled_job_id, job.next_run_at);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn create_job(&self, job: impl Into<CreateJob>) -> Result<ScheduledJob, Error> {
        let response = self.raw().create_scheduled_job(job.into().into()).await?;
        required(response.scheduled_job, "scheduled_job")
    }

    /// Returns a scheduled job, also a deleted one. For its runs see [`Client::list_runs`].
    pub async fn get_job(&self, job_id: impl Into<String>) -> Result<ScheduledJob, Error> {
        let request = proto::GetScheduledJobRequest {
            scheduled_job_id: job_id.into(),
            include_runs: Some(false),
            ..Default::default()
        };
        let response = self.raw().get_scheduled_job(request).await?;
        required(response.scheduled_job, "scheduled_job")
    }

    /// Lists scheduled jobs by id, as a page or as a stream; see [`ListJobs`].
    pub fn list_jobs(&self) -> ListJobs {
        ListJobs::new(self)
    }

    /// Changes settings of a scheduled job; see [`UpdateJob`]. Not retried.
    pub fn update_job(&self, job_id: impl Into<String>) -> UpdateJob {
        UpdateJob::new(self, job_id.into())
    }

    /// Deletes a scheduled job: its pending runs are cancelled, running ones finish. Not retried. Deleting a
    /// deleted job is OK.
    pub fn delete_job(&self, job_id: impl Into<String>) -> DeleteJob {
        DeleteJob::new(self, job_id.into())
    }

    /// Restores a deleted scheduled job with its former status. Not retried.
    pub async fn undelete_job(&self, job_id: impl Into<String>) -> Result<ScheduledJob, Error> {
        let request = proto::UndeleteScheduledJobRequest { scheduled_job_id: job_id.into() };
        let response = self.raw().undelete_scheduled_job(request).await?;
        required(response.scheduled_job, "scheduled_job")
    }

    /// Pauses a scheduled job until it is resumed, or until [`PauseJob::until`]. Its ticks create no runs.
    /// Not retried. Pausing a paused job replaces reason and end.
    ///
    /// ```no_run
    /// # use windrow_client::{Client, Error};
    /// # async fn example(client: Client) -> Result<(), Error> {
    /// let end = std::time::SystemTime::now() + std::time::Duration::from_hours(2);
    /// client.pause_job("sample_sold_daily").reason("source is down").until(end).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn pause_job(&self, job_id: impl Into<String>) -> PauseJob {
        PauseJob::new(self, job_id.into())
    }

    /// Activates a paused or inactive scheduled job. Not retried. The ticks of the pause are not run unless
    /// [`ResumeJob::catch_up`] is set.
    pub fn resume_job(&self, job_id: impl Into<String>) -> ResumeJob {
        ResumeJob::new(self, job_id.into())
    }

    /// Deactivates a scheduled job until it is resumed. Not retried.
    pub async fn deactivate_job(&self, job_id: impl Into<String>) -> Result<ScheduledJob, Error> {
        let request = proto::DeactivateScheduledJobRequest { scheduled_job_id: job_id.into() };
        let response = self.raw().deactivate_scheduled_job(request).await?;
        required(response.scheduled_job, "scheduled_job")
    }

    /// Statistics of the runs of a scheduled job that ended in the last 30 days, or in
    /// [`JobStats::window`].
    pub fn job_stats(&self, job_id: impl Into<String>) -> JobStats {
        JobStats::new(self, job_id.into())
    }
}
