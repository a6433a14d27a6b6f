//! Calls of `ScheduledJobService`. What they promise stands in the proto files.

use crate::client::{Retry, fill_request_id};
use crate::{Client, Error, proto};

impl Client {
    /// Creates a scheduled job. An empty `request_id` is filled, and the call retried under it.
    pub async fn create_scheduled_job(
        &self,
        mut request: proto::CreateScheduledJobRequest,
    ) -> Result<proto::CreateScheduledJobResponse, Error> {
        fill_request_id(&mut request.request_id);
        self.call("CreateScheduledJob", Retry::Safe, request, |route, request| async move {
            route.jobs().create_scheduled_job(request).await
        })
        .await
    }

    /// Returns a scheduled job and its newest runs.
    pub async fn get_scheduled_job(
        &self,
        request: proto::GetScheduledJobRequest,
    ) -> Result<proto::GetScheduledJobResponse, Error> {
        self.call("GetScheduledJob", Retry::Safe, request, |route, request| async move {
            route.jobs().get_scheduled_job(request).await
        })
        .await
    }

    /// Returns one page of scheduled jobs.
    pub async fn list_scheduled_jobs(
        &self,
        request: proto::ListScheduledJobsRequest,
    ) -> Result<proto::ListScheduledJobsResponse, Error> {
        self.call("ListScheduledJobs", Retry::Safe, request, |route, request| async move {
            route.jobs().list_scheduled_jobs(request).await
        })
        .await
    }

    /// Changes the fields that the mask names. Not retried.
    pub async fn update_scheduled_job(
        &self,
        request: proto::UpdateScheduledJobRequest,
    ) -> Result<proto::UpdateScheduledJobResponse, Error> {
        self.call("UpdateScheduledJob", Retry::Never, request, |route, request| async move {
            route.jobs().update_scheduled_job(request).await
        })
        .await
    }

    /// Deletes a scheduled job. Not retried.
    pub async fn delete_scheduled_job(
        &self,
        request: proto::DeleteScheduledJobRequest,
    ) -> Result<proto::DeleteScheduledJobResponse, Error> {
        self.call("DeleteScheduledJob", Retry::Never, request, |route, request| async move {
            route.jobs().delete_scheduled_job(request).await
        })
        .await
    }

    /// Restores a deleted scheduled job. Not retried.
    pub async fn undelete_scheduled_job(
        &self,
        request: proto::UndeleteScheduledJobRequest,
    ) -> Result<proto::UndeleteScheduledJobResponse, Error> {
        self.call("UndeleteScheduledJob", Retry::Never, request, |route, request| async move {
            route.jobs().undelete_scheduled_job(request).await
        })
        .await
    }

    /// Holds a scheduled job. Not retried.
    pub async fn pause_scheduled_job(
        &self,
        request: proto::PauseScheduledJobRequest,
    ) -> Result<proto::PauseScheduledJobResponse, Error> {
        self.call("PauseScheduledJob", Retry::Never, request, |route, request| async move {
            route.jobs().pause_scheduled_job(request).await
        })
        .await
    }

    /// Makes a paused or inactive scheduled job active. Not retried.
    pub async fn resume_scheduled_job(
        &self,
        request: proto::ResumeScheduledJobRequest,
    ) -> Result<proto::ResumeScheduledJobResponse, Error> {
        self.call("ResumeScheduledJob", Retry::Never, request, |route, request| async move {
            route.jobs().resume_scheduled_job(request).await
        })
        .await
    }

    /// Switches a scheduled job off. Not retried.
    pub async fn deactivate_scheduled_job(
        &self,
        request: proto::DeactivateScheduledJobRequest,
    ) -> Result<proto::DeactivateScheduledJobResponse, Error> {
        self.call("DeactivateScheduledJob", Retry::Never, request, |route, request| async move {
            route.jobs().deactivate_scheduled_job(request).await
        })
        .await
    }

    /// Says how the runs of a scheduled job went in a window up to now.
    pub async fn get_scheduled_job_stats(
        &self,
        request: proto::GetScheduledJobStatsRequest,
    ) -> Result<proto::GetScheduledJobStatsResponse, Error> {
        self.call("GetScheduledJobStats", Retry::Safe, request, |route, request| async move {
            route.jobs().get_scheduled_job_stats(request).await
        })
        .await
    }

    /// Says when a schedule is due.
    pub async fn preview_ticks(
        &self,
        request: proto::PreviewTicksRequest,
    ) -> Result<proto::PreviewTicksResponse, Error> {
        self.call("PreviewTicks", Retry::Safe, request, |route, request| async move {
            route.jobs().preview_ticks(request).await
        })
        .await
    }

    /// Returns one page of what became of the ticks of a scheduled job, newest first.
    pub async fn list_ticks(
        &self,
        request: proto::ListTicksRequest,
    ) -> Result<proto::ListTicksResponse, Error> {
        self.call("ListTicks", Retry::Safe, request, |route, request| async move {
            route.jobs().list_ticks(request).await
        })
        .await
    }

    /// Says why a scheduled job did or did not run at an instant, or what would become of it.
    pub async fn explain_tick(
        &self,
        request: proto::ExplainTickRequest,
    ) -> Result<proto::ExplainTickResponse, Error> {
        self.call("ExplainTick", Retry::Safe, request, |route, request| async move {
            route.jobs().explain_tick(request).await
        })
        .await
    }

    /// Makes runs for past ticks that have none. An empty `request_id` is filled, and the call retried
    /// under it.
    pub async fn backfill_scheduled_job(
        &self,
        mut request: proto::BackfillScheduledJobRequest,
    ) -> Result<proto::BackfillScheduledJobResponse, Error> {
        fill_request_id(&mut request.request_id);
        self.call("BackfillScheduledJob", Retry::Safe, request, |route, request| async move {
            route.jobs().backfill_scheduled_job(request).await
        })
        .await
    }
}
