//! Unary calls of `ScrapingJobService`. The proto files are the reference.

use super::Raw;
use crate::client::{Retry, fill_request_id};
use crate::{Error, proto};

impl Raw<'_> {
    /// Creates a run now. An empty `request_id` is filled in: a retry after a lost response returns the
    /// same run.
    pub async fn trigger_job(
        self,
        mut request: proto::TriggerJobRequest,
    ) -> Result<proto::TriggerJobResponse, Error> {
        fill_request_id(&mut request.request_id);
        self.0
            .call("TriggerJob", Retry::Safe, request, |route, request| async move {
                route.runs().trigger_job(request).await
            })
            .await
    }

    /// Creates a one-off run. An empty `request_id` is filled in, which makes the call safe to retry.
    pub async fn submit_scraping_job(
        self,
        mut request: proto::SubmitScrapingJobRequest,
    ) -> Result<proto::SubmitScrapingJobResponse, Error> {
        fill_request_id(&mut request.request_id);
        self.0
            .call("SubmitScrapingJob", Retry::Safe, request, |route, request| async move {
                route.runs().submit_scraping_job(request).await
            })
            .await
    }

    /// Returns one run by its id.
    pub async fn get_scraping_job(
        self,
        request: proto::GetScrapingJobRequest,
    ) -> Result<proto::GetScrapingJobResponse, Error> {
        self.0
            .call("GetScrapingJob", Retry::Safe, request, |route, request| async move {
                route.runs().get_scraping_job(request).await
            })
            .await
    }

    /// Returns one page of runs, newest first.
    pub async fn list_scraping_jobs(
        self,
        request: proto::ListScrapingJobsRequest,
    ) -> Result<proto::ListScrapingJobsResponse, Error> {
        self.0
            .call("ListScrapingJobs", Retry::Safe, request, |route, request| async move {
                route.runs().list_scraping_jobs(request).await
            })
            .await
    }

    /// Cancels a run. Not retried.
    pub async fn cancel_scraping_job(
        self,
        request: proto::CancelScrapingJobRequest,
    ) -> Result<proto::CancelScrapingJobResponse, Error> {
        self.0
            .call("CancelScrapingJob", Retry::Never, request, |route, request| async move {
                route.runs().cancel_scraping_job(request).await
            })
            .await
    }

    /// Cancels all runs that match. Not retried; after an error, call it again to cancel the rest.
    pub async fn cancel_scraping_jobs(
        self,
        request: proto::CancelScrapingJobsRequest,
    ) -> Result<proto::CancelScrapingJobsResponse, Error> {
        self.0
            .call("CancelScrapingJobs", Retry::Never, request, |route, request| async move {
                route.runs().cancel_scraping_jobs(request).await
            })
            .await
    }

    /// Creates a run for the locations that an ended run did not complete. An empty `request_id` is
    /// filled in, which makes the call safe to retry.
    pub async fn retry_failed_locations(
        self,
        mut request: proto::RetryFailedLocationsRequest,
    ) -> Result<proto::RetryFailedLocationsResponse, Error> {
        fill_request_id(&mut request.request_id);
        self.0
            .call("RetryFailedLocations", Retry::Safe, request, |route, request| async move {
                route.runs().retry_failed_locations(request).await
            })
            .await
    }

    /// Returns one page of a run's log.
    pub async fn list_scraping_job_logs(
        self,
        request: proto::ListScrapingJobLogsRequest,
    ) -> Result<proto::ListScrapingJobLogsResponse, Error> {
        self.0
            .call("ListScrapingJobLogs", Retry::Safe, request, |route, request| async move {
                route.runs().list_scraping_job_logs(request).await
            })
            .await
    }
}
