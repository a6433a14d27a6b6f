//! Jobs whose runs do nothing, and a worker that ends them at once.

use tonic::transport::Channel;
use windrow::v1 as proto;
use windrow::v1::scheduled_job_service_client::ScheduledJobServiceClient;
use windrow::v1::worker_service_client::WorkerServiceClient;

pub(crate) const SETTINGS: &str = "[sources.noop]\nkind = \"worker\"\n";

pub(crate) async fn create_job(channel: Channel, id: &str) {
    let parameters = proto::ScrapeParameters {
        locations: vec!["here".to_owned()],
        source: Some("noop".to_owned()),
        ..Default::default()
    };
    let job = proto::ScheduledJob {
        scheduled_job_id: id.to_owned(),
        name: id.to_owned(),
        cron_expression: "0 0 1 1 *".to_owned(),
        parameters: Some(parameters),
        ..Default::default()
    };
    let request =
        proto::CreateScheduledJobRequest { scheduled_job: Some(job), ..Default::default() };
    ScheduledJobServiceClient::new(channel).create_scheduled_job(request).await.unwrap();
}

pub(crate) async fn finish(client: &WorkerServiceClient<Channel>, lease: proto::Lease) {
    let run = lease.scraping_job.unwrap();
    let result = |location| proto::LocationResult { location, ..Default::default() };
    let request = proto::FinishScrapingJobRequest {
        worker_id: run.worker_id,
        attempt: Some(proto::Attempt { job_id: run.job_id, attempt: run.attempt }),
        outcome: proto::AttemptOutcome::Done.into(),
        location_results: lease.locations.into_iter().map(result).collect(),
        ..Default::default()
    };
    let ended = client.clone().finish_scraping_job(request).await.unwrap().into_inner();
    assert_eq!(ended.scraping_job.unwrap().status(), proto::ScrapingJobStatus::Completed);
}
