//! `ScrapingJobService`: runs.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, async_trait};
use windrow::encoded::scraping_job_service_server::ScrapingJobService;
use windrow::v1 as proto;

use super::ANONYMOUS;
use super::convert::{self, to_run, to_run_status, to_time};
use super::page::{self, PageTokens};
use super::request_id::idempotency_key;
use super::status::{status, within};
use super::watches::{self, Responses};
use crate::app::{App, AppError, RetryRequest, RunQuery, Submission, Trigger, Watcher};
use crate::domain::filter::RunFilter;
use crate::domain::pending_reason::PendingReason;
use crate::domain::run::Run;
use crate::listener::Peer;

pub(super) struct ScrapingJobs {
    app: Arc<App>,
    closing: CancellationToken,
}

impl ScrapingJobs {
    pub(super) fn new(app: Arc<App>, closing: CancellationToken) -> Self {
        Self { app, closing }
    }

    async fn trigger(
        &self,
        mut request: proto::TriggerJobRequest,
    ) -> Result<proto::TriggerJobResponse, AppError> {
        let request_id = std::mem::take(&mut request.request_id);
        let key = idempotency_key("TriggerJob", request_id, &request)?;
        let trigger = Trigger {
            priority: convert::priority(request.priority)?,
            overrides: convert::parameters(request.overrides).map_err(within("overrides"))?,
            job_id: convert::short_text("job_id", request.job_id)?,
            labels: request.labels,
            requested_by: ANONYMOUS.to_owned(),
            idempotency_key: key,
        };
        if trigger.job_id.is_empty() {
            return Err(AppError::invalid("job_id", "is required"));
        }
        let mode = super::mode(request.validate_only);
        let triggered = self.app.trigger(trigger, mode).await?;
        let run = to_response(&triggered.run, request.validate_only);
        Ok(proto::TriggerJobResponse {
            job_id: run.job_id.clone(),
            status: to_run_status(triggered.run.state.status).into(),
            message: triggered.message,
            created_at: Some(to_time(triggered.run.spec.created_at)),
            scraping_job: Some(run),
            warnings: self.warnings(&triggered.run),
        })
    }

    async fn submit(
        &self,
        mut request: proto::SubmitScrapingJobRequest,
    ) -> Result<proto::ScrapingJob, AppError> {
        let request_id = std::mem::take(&mut request.request_id);
        let key = idempotency_key("SubmitScrapingJob", request_id, &request)?;
        let submission = Submission {
            parameters: convert::parameters(request.parameters).map_err(within("parameters"))?,
            priority: convert::priority(request.priority)?,
            available_at: convert::time("available_at", request.available_at)?,
            labels: request.labels,
            policy: convert::policy(request.policy).map_err(within("policy"))?,
            requested_by: ANONYMOUS.to_owned(),
            idempotency_key: key,
        };
        let mode = super::mode(request.validate_only);
        let run = self.app.submit(submission, mode).await?;
        Ok(to_response(&run, request.validate_only))
    }

    async fn list(
        &self,
        request: &proto::ListScrapingJobsRequest,
    ) -> Result<proto::ListScrapingJobsResponse, AppError> {
        let proto::ListScrapingJobsRequest { status, scheduled_job_id, filter, .. } = request;
        let list = format!("ScrapingJobs {status} {scheduled_job_id} {filter}");
        let tokens = PageTokens::new(&list);
        let conditions = convert::run_conditions(filter)?;
        let query = RunQuery {
            filter: RunFilter {
                scheduled_job_id: convert::optional_scheduled_job_id(
                    "scheduled_job_id",
                    scheduled_job_id,
                )?,
                conditions: conditions.with_status(convert::run_status(request.status)?),
            },
            after: tokens.read(&request.page_token)?,
            limit: page::size("page_size", request.page_size)?,
        };
        let found = self.app.list_runs(query).await?;
        let next = found.runs.next_after().map(|run| (run.spec.created_at, run.spec.id.clone()));
        Ok(proto::ListScrapingJobsResponse {
            scraping_jobs: self.with_pending_reasons(&found.runs.items).await?,
            total: found.total,
            total_is_lower_bound: found.total_is_lower_bound,
            next_page_token: tokens.next(next),
        })
    }

    async fn cancel_many(
        &self,
        request: proto::CancelScrapingJobsRequest,
    ) -> Result<proto::CancelScrapingJobsResponse, AppError> {
        let proto::CancelScrapingJobsRequest { scheduled_job_id, filter, validate_only } = request;
        if scheduled_job_id.is_empty() && filter.trim().is_empty() {
            let text = "is required without scheduled_job_id: it would cancel every run";
            return Err(AppError::invalid("filter", text));
        }
        let filter = RunFilter {
            scheduled_job_id: convert::optional_scheduled_job_id(
                "scheduled_job_id",
                &scheduled_job_id,
            )?,
            conditions: convert::run_conditions(&filter)?,
        };
        let all = self.app.cancel_runs(&filter, super::mode(validate_only)).await?;
        let (cancelled, cancel_requested) = (all.pending, all.running);
        Ok(proto::CancelScrapingJobsResponse { cancelled, cancel_requested })
    }

    async fn retry(
        &self,
        mut request: proto::RetryFailedLocationsRequest,
    ) -> Result<proto::RetryFailedLocationsResponse, AppError> {
        let request_id = std::mem::take(&mut request.request_id);
        let retry = RetryRequest {
            idempotency_key: idempotency_key("RetryFailedLocations", request_id, &request)?,
            run: convert::run_id("job_id", &request.job_id)?,
            priority: convert::priority(request.priority)?,
            requested_by: ANONYMOUS.to_owned(),
        };
        let mode = super::mode(request.validate_only);
        let run = self.app.retry_failed_locations(retry, mode).await?;
        let scraping_job = Some(to_response(&run, request.validate_only));
        Ok(proto::RetryFailedLocationsResponse { scraping_job, warnings: self.warnings(&run) })
    }

    /// Reasons why a new run has to wait.
    fn warnings(&self, run: &Run) -> Vec<String> {
        self.app.sources().missing(&run.spec.parameters).into_iter().collect()
    }

    /// Identifies a client by its certificate or its address, until calls are authenticated.
    fn watcher<T>(&self, request: &Request<T>) -> Watcher {
        let client = match request.extensions().get::<Peer>() {
            Some(peer) => match peer.certificate() {
                Some(certificate) => certificate.to_string(),
                None => peer.address.ip().to_string(),
            },
            None => ANONYMOUS.to_owned(),
        };
        Watcher { client, closing: self.closing.clone() }
    }

    /// Runs for a response, each pending one with the reason why it is pending.
    async fn with_pending_reasons(
        &self,
        runs: &[Run],
    ) -> Result<Vec<proto::ScrapingJob>, AppError> {
        let reasons = self.app.pending_reasons(runs).await?;
        let to_response = |(run, reason): (&Run, Option<PendingReason>)| {
            let pending_reason = reason.as_ref().map(convert::to_pending_reason);
            proto::ScrapingJob { pending_reason, ..to_run(run) }
        };
        Ok(runs.iter().zip(reasons).map(to_response).collect())
    }
}

/// The run for a response. A run that was only validated has no id yet.
fn to_response(run: &Run, validate_only: bool) -> proto::ScrapingJob {
    let mut response = to_run(run);
    if validate_only {
        response.job_id.clear();
    }
    response
}

#[async_trait]
impl ScrapingJobService for ScrapingJobs {
    type WatchScrapingJobStream = Responses;
    type WatchScrapingJobsStream = Responses;

    async fn trigger_job(
        &self,
        request: Request<proto::TriggerJobRequest>,
    ) -> Result<Response<proto::TriggerJobResponse>, Status> {
        self.trigger(request.into_inner()).await.map(Response::new).map_err(status)
    }

    async fn submit_scraping_job(
        &self,
        request: Request<proto::SubmitScrapingJobRequest>,
    ) -> Result<Response<proto::SubmitScrapingJobResponse>, Status> {
        let scraping_job = Some(self.submit(request.into_inner()).await.map_err(status)?);
        Ok(Response::new(proto::SubmitScrapingJobResponse { scraping_job }))
    }

    async fn get_scraping_job(
        &self,
        request: Request<proto::GetScrapingJobRequest>,
    ) -> Result<Response<proto::GetScrapingJobResponse>, Status> {
        let id = convert::run_id("job_id", &request.get_ref().job_id).map_err(status)?;
        let run = self.app.get_run(&id).await.map_err(status)?;
        let scraping_job = self.with_pending_reasons(&[run]).await.map_err(status)?.pop();
        Ok(Response::new(proto::GetScrapingJobResponse { scraping_job }))
    }

    async fn list_scraping_jobs(
        &self,
        request: Request<proto::ListScrapingJobsRequest>,
    ) -> Result<Response<proto::ListScrapingJobsResponse>, Status> {
        self.list(request.get_ref()).await.map(Response::new).map_err(status)
    }

    async fn cancel_scraping_job(
        &self,
        request: Request<proto::CancelScrapingJobRequest>,
    ) -> Result<Response<proto::CancelScrapingJobResponse>, Status> {
        let id = convert::run_id("job_id", &request.get_ref().job_id).map_err(status)?;
        let run = self.app.cancel_run(&id).await.map_err(status)?;
        Ok(Response::new(proto::CancelScrapingJobResponse { scraping_job: Some(to_run(&run)) }))
    }

    async fn cancel_scraping_jobs(
        &self,
        request: Request<proto::CancelScrapingJobsRequest>,
    ) -> Result<Response<proto::CancelScrapingJobsResponse>, Status> {
        self.cancel_many(request.into_inner()).await.map(Response::new).map_err(status)
    }

    async fn retry_failed_locations(
        &self,
        request: Request<proto::RetryFailedLocationsRequest>,
    ) -> Result<Response<proto::RetryFailedLocationsResponse>, Status> {
        self.retry(request.into_inner()).await.map(Response::new).map_err(status)
    }

    async fn list_scraping_job_logs(
        &self,
        request: Request<proto::ListScrapingJobLogsRequest>,
    ) -> Result<Response<proto::ListScrapingJobLogsResponse>, Status> {
        let listed = super::logs::list(&self.app, request.into_inner()).await;
        listed.map(Response::new).map_err(status)
    }

    async fn watch_scraping_job(
        &self,
        request: Request<proto::WatchScrapingJobRequest>,
    ) -> Result<Response<Self::WatchScrapingJobStream>, Status> {
        let watcher = self.watcher(&request);
        let updates = watches::watch_one(&self.app, watcher, request.into_inner()).await;
        updates.map(Response::new).map_err(status)
    }

    async fn watch_scraping_jobs(
        &self,
        request: Request<proto::WatchScrapingJobsRequest>,
    ) -> Result<Response<Self::WatchScrapingJobsStream>, Status> {
        let watcher = self.watcher(&request);
        let updates = watches::watch_many(&self.app, watcher, request.into_inner()).await;
        updates.map(Response::new).map_err(status)
    }
}
