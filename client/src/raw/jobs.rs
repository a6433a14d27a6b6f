//! Unary calls of `ScheduledJobService`. The proto files are the reference.

use super::Raw;
use crate::client::{Retry, fill_request_id};
use crate::{Error, proto};

impl Raw<'_> {
    /// Creates a scheduled job. An empty `request_id` is filled in, which makes the call safe to retry.
    pub async fn create_scheduled_job(
        self,
        mut request: proto::CreateScheduledJobRequest,
    ) -> Result<proto::CreateScheduledJobResponse, Error> {
        fill_request_id(&mut request.request_id);
        self.0
            .call("CreateScheduledJob", Retry::Safe, request, |route, request| async move {
                route.jobs().create_scheduled_job(request).await
            })
            .await
    }

    /// Returns a scheduled job and its newest runs.
    pub async fn get_scheduled_job(
        self,
        request: proto::GetScheduledJobRequest,
    ) -> Result<proto::GetScheduledJobResponse, Error> {
        self.0
            .call("GetScheduledJob", Retry::Safe, request, |route, request| async move {
                route.jobs().get_scheduled_job(request).await
            })
            .await
    }

    /// Returns one page of scheduled jobs.
    pub async fn list_scheduled_jobs(
        self,
        request: proto::ListScheduledJobsRequest,
    ) -> Result<proto::ListScheduledJobsResponse, Error> {
        self.0
            .call("ListScheduledJobs", Retry::Safe, request, |route, request| async move {
                route.jobs().list_scheduled_jobs(request).await
            })
            .await
    }

    /// Changes the fields in the mask. Not retried.
    pub async fn update_scheduled_job(
        self,
        request: proto::UpdateScheduledJobRequest,
    ) -> Result<proto::UpdateScheduledJobResponse, Error> {
        self.0
            .call("UpdateScheduledJob", Retry::Never, request, |route, request| async move {
                route.jobs().update_scheduled_job(request).await
            })
            .await
    }

    /// Deletes a scheduled job. Not retried.
    pub async fn delete_scheduled_job(
        self,
        request: proto::DeleteScheduledJobRequest,
    ) -> Result<proto::DeleteScheduledJobResponse, Error> {
        self.0
            .call("DeleteScheduledJob", Retry::Never, request, |route, request| async move {
                route.jobs().delete_scheduled_job(request).await
            })
            .await
    }

    /// Restores a deleted scheduled job. Not retried.
    pub async fn undelete_scheduled_job(
        self,
        request: proto::UndeleteScheduledJobRequest,
    ) -> Result<proto::UndeleteScheduledJobResponse, Error> {
        self.0
            .call("UndeleteScheduledJob", Retry::Never, request, |route, request| async move {
                route.jobs().undelete_scheduled_job(request).await
            })
            .await
    }

    /// Pauses a scheduled job. Not retried.
    pub async fn pause_scheduled_job(
        self,
        request: proto::PauseScheduledJobRequest,
    ) -> Result<proto::PauseScheduledJobResponse, Error> {
        self.0
            .call("PauseScheduledJob", Retry::Never, request, |route, request| async move {
                route.jobs().pause_scheduled_job(request).await
            })
            .await
    }

    /// Activates a paused or inactive scheduled job. Not retried.
    pub async fn resume_scheduled_job(
        self,
        request: proto::ResumeScheduledJobRequest,
    ) -> Result<proto::ResumeScheduledJobResponse, Error> {
        self.0
            .call("ResumeScheduledJob", Retry::Never, request, |route, request| async move {
                route.jobs().resume_scheduled_job(request).await
            })
            .await
    }

    /// Deactivates a scheduled job. Not retried.
    pub async fn deactivate_scheduled_job(
        self,
        request: proto::DeactivateScheduledJobRequest,
    ) -> Result<proto::DeactivateScheduledJobResponse, Error> {
        self.0
            .call("DeactivateScheduledJob", Retry::Never, request, |route, request| async move {
                route.jobs().deactivate_scheduled_job(request).await
            })
            .await
    }

    /// Returns statistics of the runs of a scheduled job.
    pub async fn get_scheduled_job_stats(
        self,
        request: proto::GetScheduledJobStatsRequest,
    ) -> Result<proto::GetScheduledJobStatsResponse, Error> {
        self.0
            .call("GetScheduledJobStats", Retry::Safe, request, |route, request| async move {
                route.jobs().get_scheduled_job_stats(request).await
            })
            .await
    }

    /// Computes the next ticks of a schedule. Changes nothing.
    pub async fn preview_ticks(
        self,
        request: proto::PreviewTicksRequest,
    ) -> Result<proto::PreviewTicksResponse, Error> {
        self.0
            .call("PreviewTicks", Retry::Safe, request, |route, request| async move {
                route.jobs().preview_ticks(request).await
            })
            .await
    }

    /// Returns one page of the tick ledger of a scheduled job, newest first.
    pub async fn list_ticks(
        self,
        request: proto::ListTicksRequest,
    ) -> Result<proto::ListTicksResponse, Error> {
        self.0
            .call("ListTicks", Retry::Safe, request, |route, request| async move {
                route.jobs().list_ticks(request).await
            })
            .await
    }

    /// Explains why a scheduled job did, did not or will run at an instant.
    pub async fn explain_tick(
        self,
        request: proto::ExplainTickRequest,
    ) -> Result<proto::ExplainTickResponse, Error> {
        self.0
            .call("ExplainTick", Retry::Safe, request, |route, request| async move {
                route.jobs().explain_tick(request).await
            })
            .await
    }

    /// Creates runs for past ticks that have none. An empty `request_id` is filled in, which makes the
    /// call safe to retry.
    pub async fn backfill_scheduled_job(
        self,
        mut request: proto::BackfillScheduledJobRequest,
    ) -> Result<proto::BackfillScheduledJobResponse, Error> {
        fill_request_id(&mut request.request_id);
        self.0
            .call("BackfillScheduledJob", Retry::Safe, request, |route, request| async move {
                route.jobs().backfill_scheduled_job(request).await
            })
            .await
    }
}
