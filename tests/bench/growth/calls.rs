//! The calls that are measured.

use std::sync::atomic::{AtomicU64, Ordering};

use tonic::transport::{Channel, Endpoint};
use windrow::v1 as proto;
use windrow::v1::scheduled_job_service_client::ScheduledJobServiceClient;
use windrow::v1::scraping_job_service_client::ScrapingJobServiceClient;
use windrow::v1::worker_service_client::WorkerServiceClient;

const SOURCES: [&str; 4] = ["source-0", "source-1", "source-2", "source-3"];
const WORKER: &str = "growth";

/// Numbers the request ids.
static REQUESTS: AtomicU64 = AtomicU64::new(0);

/// One connection to the server.
pub(crate) struct Calls {
    pub(crate) jobs: ScheduledJobServiceClient<Channel>,
    pub(crate) runs: ScrapingJobServiceClient<Channel>,
    workers: WorkerServiceClient<Channel>,
}

impl Calls {
    pub(crate) async fn connect(address: &str) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        let channel = endpoint.tcp_nodelay(true).connect().await.unwrap();
        Self {
            jobs: ScheduledJobServiceClient::new(channel.clone()),
            runs: ScrapingJobServiceClient::new(channel.clone()),
            workers: WorkerServiceClient::new(channel),
        }
    }

    /// Returns the id of the run.
    pub(crate) async fn trigger(&mut self, job: &str) -> String {
        let request_id = format!("growth-{}", REQUESTS.fetch_add(1, Ordering::Relaxed));
        let request =
            proto::TriggerJobRequest { job_id: job.to_owned(), request_id, ..Default::default() };
        self.runs.trigger_job(request).await.unwrap().into_inner().job_id
    }

    /// Leases a run that waits.
    pub(crate) async fn lease(&mut self) -> proto::Lease {
        let request = proto::LeaseScrapingJobsRequest {
            worker_id: WORKER.to_owned(),
            sources: SOURCES.map(str::to_owned).into(),
            capacity: 1,
            ..Default::default()
        };
        let leased = self.workers.lease_scraping_jobs(request).await.unwrap();
        leased.into_inner().leases.pop().expect("a run waits")
    }

    pub(crate) async fn finish(&mut self, lease: proto::Lease, outcome: proto::AttemptOutcome) {
        let run = lease.scraping_job.unwrap();
        let result = |location| proto::LocationResult { location, ..Default::default() };
        let is_done = outcome == proto::AttemptOutcome::Done;
        let locations = if is_done { lease.locations } else { Vec::new() };
        let request = proto::FinishScrapingJobRequest {
            worker_id: WORKER.to_owned(),
            attempt: Some(proto::Attempt { job_id: run.job_id, attempt: run.attempt }),
            outcome: outcome.into(),
            permanent: !is_done,
            error_message: if is_done { String::new() } else { "the site is down".to_owned() },
            location_results: locations.into_iter().map(result).collect(),
            ..Default::default()
        };
        let ended = self.workers.finish_scraping_job(request).await.unwrap().into_inner();
        assert!(ended.scraping_job.unwrap().completed_at.is_some(), "the run has ended");
    }

    pub(crate) async fn list(
        &mut self,
        request: proto::ListScrapingJobsRequest,
    ) -> proto::ListScrapingJobsResponse {
        self.runs.list_scraping_jobs(request).await.unwrap().into_inner()
    }
}
