//! Unary calls of `ScrapingJobService`. What they promise stands in the proto files; for
//! `WatchScrapingJob` see [`Client::watch`].

use crate::client::{Retry, fill_request_id};
use crate::{Client, Error, proto};

impl Client {
    /// Makes a run now. An empty `request_id` is filled, and the call retried under it, so that a lost
    /// answer never makes two runs.
    pub async fn trigger_job(
        &self,
        request: impl Into<proto::TriggerJobRequest>,
    ) -> Result<proto::TriggerJobResponse, Error> {
        let mut request = request.into();
        fill_request_id(&mut request.request_id);
        self.call("TriggerJob", Retry::Safe, request, |route, request| async move {
            route.runs().trigger_job(request).await
        })
        .await
    }

    /// Makes a one-off run. An empty `request_id` is filled, and the call retried under it.
    pub async fn submit_scraping_job(
        &self,
        mut request: proto::SubmitScrapingJobRequest,
    ) -> Result<proto::SubmitScrapingJobResponse, Error> {
        fill_request_id(&mut request.request_id);
        self.call("SubmitScrapingJob", Retry::Safe, request, |route, request| async move {
            route.runs().submit_scraping_job(request).await
        })
        .await
    }

    /// Returns a run.
    pub async fn get_scraping_job(
        &self,
        request: proto::GetScrapingJobRequest,
    ) -> Result<proto::GetScrapingJobResponse, Error> {
        self.call("GetScrapingJob", Retry::Safe, request, |route, request| async move {
            route.runs().get_scraping_job(request).await
        })
        .await
    }

    /// Returns one page of runs, newest first.
    pub async fn list_scraping_jobs(
        &self,
        request: proto::ListScrapingJobsRequest,
    ) -> Result<proto::ListScrapingJobsResponse, Error> {
        self.call("ListScrapingJobs", Retry::Safe, request, |route, request| async move {
            route.runs().list_scraping_jobs(request).await
        })
        .await
    }

    /// Cancels a run. Not retried.
    pub async fn cancel_scraping_job(
        &self,
        request: proto::CancelScrapingJobRequest,
    ) -> Result<proto::CancelScrapingJobResponse, Error> {
        self.call("CancelScrapingJob", Retry::Never, request, |route, request| async move {
            route.runs().cancel_scraping_job(request).await
        })
        .await
    }

    /// Cancels all runs that match. What was cancelled stays so; a repeat goes on with the rest.
    pub async fn cancel_scraping_jobs(
        &self,
        request: proto::CancelScrapingJobsRequest,
    ) -> Result<proto::CancelScrapingJobsResponse, Error> {
        self.call("CancelScrapingJobs", Retry::Never, request, |route, request| async move {
            route.runs().cancel_scraping_jobs(request).await
        })
        .await
    }

    /// Makes a run for what an ended run has not done. An empty `request_id` is filled, and the call
    /// retried under it.
    pub async fn retry_failed_locations(
        &self,
        mut request: proto::RetryFailedLocationsRequest,
    ) -> Result<proto::RetryFailedLocationsResponse, Error> {
        fill_request_id(&mut request.request_id);
        self.call("RetryFailedLocations", Retry::Safe, request, |route, request| async move {
            route.runs().retry_failed_locations(request).await
        })
        .await
    }

    /// Returns one page of a run's log.
    pub async fn list_scraping_job_logs(
        &self,
        request: proto::ListScrapingJobLogsRequest,
    ) -> Result<proto::ListScrapingJobLogsResponse, Error> {
        self.call("ListScrapingJobLogs", Retry::Safe, request, |route, request| async move {
            route.runs().list_scraping_job_logs(request).await
        })
        .await
    }
}
