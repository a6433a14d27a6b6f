//! `ScheduledJobService`: scheduled jobs. The RPCs about ticks are in `ticks`.

use std::sync::Arc;

use tonic::{Request, Response, Status, async_trait};
use windrow::v1 as proto;
use windrow::v1::scheduled_job_service_server::ScheduledJobService;

use super::ANONYMOUS;
use super::convert::{self, to_job, to_run};
use super::page::{self, PageTokens};
use super::request_id::idempotency_key;
use super::status::{status, within};
use crate::app::{App, AppError, Edit, HeldTicks, JobQuery, NewScheduledJob};
use crate::domain::filter::{JobConditions, JobFilter};
use crate::domain::id::ScheduledJobId;
use crate::domain::scheduled_job::{ScheduledJob, SettingsDraft};

const JOB: &str = "scheduled_job";
const JOB_ID: &str = "scheduled_job_id";

pub(super) struct ScheduledJobs {
    app: Arc<App>,
}

impl ScheduledJobs {
    pub(super) fn new(app: Arc<App>) -> Self {
        Self { app }
    }

    async fn create(
        &self,
        mut request: proto::CreateScheduledJobRequest,
    ) -> Result<ScheduledJob, AppError> {
        let id = std::mem::take(&mut request.request_id);
        let key = idempotency_key("CreateScheduledJob", id, &request)?;
        let job = request.scheduled_job.ok_or_else(|| required(JOB))?;
        let id = convert::optional_scheduled_job_id(
            "scheduled_job.scheduled_job_id",
            &job.scheduled_job_id,
        )?;
        let draft = convert::settings_draft(job).map_err(within(JOB))?;
        let requested_by = ANONYMOUS.to_owned();
        let new = NewScheduledJob { id, draft, requested_by, idempotency_key: key };
        let created = self.app.create_scheduled_job(new, super::mode(request.validate_only)).await;
        created.map_err(within(JOB))
    }

    async fn get(
        &self,
        request: &proto::GetScheduledJobRequest,
    ) -> Result<proto::GetScheduledJobResponse, AppError> {
        let id = convert::scheduled_job_id(JOB_ID, &request.scheduled_job_id)?;
        let limit = page::size("limit", request.limit)?;
        let limit = if request.include_runs.unwrap_or(true) { limit } else { 0 };
        let (job, runs, total) = self.app.get_scheduled_job(&id, limit).await?;
        Ok(proto::GetScheduledJobResponse {
            scheduled_job: Some(to_job(&job, self.app.sources())),
            job_runs: runs.iter().map(to_run).collect(),
            total_runs: total,
        })
    }

    async fn list(
        &self,
        request: &proto::ListScheduledJobsRequest,
    ) -> Result<proto::ListScheduledJobsResponse, AppError> {
        let proto::ListScheduledJobsRequest { status, show_deleted, filter, .. } = request;
        let list = format!("ScheduledJobs {status} {show_deleted} {filter}");
        let tokens = PageTokens::new(&list);
        let conditions =
            JobConditions::parse(filter).map_err(|text| AppError::invalid("filter", text))?;
        let query = JobQuery {
            filter: JobFilter {
                show_deleted: request.show_deleted,
                conditions: conditions.with_status(convert::job_status(request.status)?),
            },
            after: tokens.read(&request.page_token)?,
            limit: page::size("page_size", request.page_size)?,
        };
        let found = self.app.list_scheduled_jobs(query).await?;
        let to_message = |job: &ScheduledJob| to_job(job, self.app.sources());
        Ok(proto::ListScheduledJobsResponse {
            scheduled_jobs: found.jobs.items.iter().map(to_message).collect(),
            total: found.total,
            next_page_token: tokens.next(found.jobs.next_after().map(|job| job.id.clone())),
        })
    }

    async fn update(
        &self,
        request: proto::UpdateScheduledJobRequest,
    ) -> Result<ScheduledJob, AppError> {
        let job = request.scheduled_job.ok_or_else(|| required(JOB))?;
        let id =
            convert::scheduled_job_id("scheduled_job.scheduled_job_id", &job.scheduled_job_id)?;
        let changes = super::mask::changes(request.update_mask, &job)?;
        let etag = job.etag.clone();
        let new = convert::settings_draft(job).map_err(within(JOB))?;
        let change = |draft: &mut SettingsDraft| changes.iter().for_each(|copy| copy(draft, &new));
        let mode = super::mode(request.validate_only);
        let edit = Edit { id: &id, etag: &etag, changed_by: ANONYMOUS, mode };
        let updated = self.app.update_scheduled_job(edit, &change).await;
        updated.map_err(within(JOB))
    }

    async fn stats(
        &self,
        request: proto::GetScheduledJobStatsRequest,
    ) -> Result<proto::GetScheduledJobStatsResponse, AppError> {
        let id = convert::scheduled_job_id(JOB_ID, &request.scheduled_job_id)?;
        let window = convert::duration("window", request.window)?;
        let stats = self.app.scheduled_job_statistics(&id, window).await?;
        Ok(convert::to_stats(&stats))
    }

    /// The job as the field of a response.
    fn to_response(
        &self,
        job: Result<ScheduledJob, AppError>,
    ) -> Result<Option<proto::ScheduledJob>, Status> {
        Ok(Some(to_job(&job.map_err(status)?, self.app.sources())))
    }

    async fn pause(
        &self,
        request: proto::PauseScheduledJobRequest,
    ) -> Result<ScheduledJob, AppError> {
        let id = convert::scheduled_job_id(JOB_ID, &request.scheduled_job_id)?;
        let until = convert::time("paused_until", request.paused_until)?;
        self.app.pause_scheduled_job(&id, request.reason, until, ANONYMOUS).await
    }
}

fn required(field: &str) -> AppError {
    AppError::invalid(field, "is required")
}

fn id_of(text: &str) -> Result<ScheduledJobId, Status> {
    convert::scheduled_job_id(JOB_ID, text).map_err(status)
}

#[async_trait]
impl ScheduledJobService for ScheduledJobs {
    async fn create_scheduled_job(
        &self,
        request: Request<proto::CreateScheduledJobRequest>,
    ) -> Result<Response<proto::CreateScheduledJobResponse>, Status> {
        let scheduled_job = self.to_response(self.create(request.into_inner()).await)?;
        Ok(Response::new(proto::CreateScheduledJobResponse { scheduled_job }))
    }

    async fn get_scheduled_job(
        &self,
        request: Request<proto::GetScheduledJobRequest>,
    ) -> Result<Response<proto::GetScheduledJobResponse>, Status> {
        self.get(request.get_ref()).await.map(Response::new).map_err(status)
    }

    async fn list_scheduled_jobs(
        &self,
        request: Request<proto::ListScheduledJobsRequest>,
    ) -> Result<Response<proto::ListScheduledJobsResponse>, Status> {
        self.list(request.get_ref()).await.map(Response::new).map_err(status)
    }

    async fn update_scheduled_job(
        &self,
        request: Request<proto::UpdateScheduledJobRequest>,
    ) -> Result<Response<proto::UpdateScheduledJobResponse>, Status> {
        let scheduled_job = self.to_response(self.update(request.into_inner()).await)?;
        Ok(Response::new(proto::UpdateScheduledJobResponse { scheduled_job }))
    }

    async fn delete_scheduled_job(
        &self,
        request: Request<proto::DeleteScheduledJobRequest>,
    ) -> Result<Response<proto::DeleteScheduledJobResponse>, Status> {
        let request = request.into_inner();
        let id = id_of(&request.scheduled_job_id)?;
        let scheduled_job =
            self.to_response(self.app.delete_scheduled_job(&id, &request.etag, ANONYMOUS).await)?;
        Ok(Response::new(proto::DeleteScheduledJobResponse { scheduled_job }))
    }

    async fn undelete_scheduled_job(
        &self,
        request: Request<proto::UndeleteScheduledJobRequest>,
    ) -> Result<Response<proto::UndeleteScheduledJobResponse>, Status> {
        let id = id_of(&request.get_ref().scheduled_job_id)?;
        let scheduled_job =
            self.to_response(self.app.undelete_scheduled_job(&id, ANONYMOUS).await)?;
        Ok(Response::new(proto::UndeleteScheduledJobResponse { scheduled_job }))
    }

    async fn pause_scheduled_job(
        &self,
        request: Request<proto::PauseScheduledJobRequest>,
    ) -> Result<Response<proto::PauseScheduledJobResponse>, Status> {
        let scheduled_job = self.to_response(self.pause(request.into_inner()).await)?;
        Ok(Response::new(proto::PauseScheduledJobResponse { scheduled_job }))
    }

    async fn resume_scheduled_job(
        &self,
        request: Request<proto::ResumeScheduledJobRequest>,
    ) -> Result<Response<proto::ResumeScheduledJobResponse>, Status> {
        let request = request.into_inner();
        let id = id_of(&request.scheduled_job_id)?;
        let held = if request.catch_up { HeldTicks::CatchUp } else { HeldTicks::Record };
        let scheduled_job =
            self.to_response(self.app.resume_scheduled_job(&id, held, ANONYMOUS).await)?;
        Ok(Response::new(proto::ResumeScheduledJobResponse { scheduled_job }))
    }

    async fn deactivate_scheduled_job(
        &self,
        request: Request<proto::DeactivateScheduledJobRequest>,
    ) -> Result<Response<proto::DeactivateScheduledJobResponse>, Status> {
        let id = id_of(&request.get_ref().scheduled_job_id)?;
        let scheduled_job =
            self.to_response(self.app.deactivate_scheduled_job(&id, ANONYMOUS).await)?;
        Ok(Response::new(proto::DeactivateScheduledJobResponse { scheduled_job }))
    }

    async fn get_scheduled_job_stats(
        &self,
        request: Request<proto::GetScheduledJobStatsRequest>,
    ) -> Result<Response<proto::GetScheduledJobStatsResponse>, Status> {
        self.stats(request.into_inner()).await.map(Response::new).map_err(status)
    }

    async fn preview_ticks(
        &self,
        request: Request<proto::PreviewTicksRequest>,
    ) -> Result<Response<proto::PreviewTicksResponse>, Status> {
        let answer = super::ticks::preview(&self.app, request.into_inner()).await;
        answer.map(Response::new).map_err(status)
    }

    async fn list_ticks(
        &self,
        request: Request<proto::ListTicksRequest>,
    ) -> Result<Response<proto::ListTicksResponse>, Status> {
        let answer = super::ticks::list(&self.app, request.into_inner()).await;
        answer.map(Response::new).map_err(status)
    }

    async fn explain_tick(
        &self,
        request: Request<proto::ExplainTickRequest>,
    ) -> Result<Response<proto::ExplainTickResponse>, Status> {
        let answer = super::ticks::explain(&self.app, request.into_inner()).await;
        answer.map(Response::new).map_err(status)
    }

    async fn backfill_scheduled_job(
        &self,
        request: Request<proto::BackfillScheduledJobRequest>,
    ) -> Result<Response<proto::BackfillScheduledJobResponse>, Status> {
        let answer = super::ticks::backfill(&self.app, request.into_inner()).await;
        answer.map(Response::new).map_err(status)
    }
}
