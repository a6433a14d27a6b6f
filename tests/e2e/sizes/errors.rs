//! Errors fit into the headers that clients accept.

use proto::scraping_job_service_client::ScrapingJobServiceClient;
use proto::worker_service_client::WorkerServiceClient;
use tonic::Code;
use tonic_types::StatusExt;
use windrow_client::proto;

use super::channel;
use crate::support::{QUICK, Windrow, parameters};

#[tokio::test]
async fn four_hundred_violations_arrive_as_their_first_ones_and_a_count() {
    let windrow = Windrow::start().await;
    let mut runs = ScrapingJobServiceClient::new(channel(&windrow).await);
    let locations = vec!["Indianapolis, IN".to_owned(); 401];
    let parameters = Some(proto::ScrapeParameters { locations, ..parameters(QUICK) });
    let request = proto::SubmitScrapingJobRequest { parameters, ..Default::default() };

    let rejected = runs.submit_scraping_job(request).await.unwrap_err();

    assert_eq!(rejected.code(), Code::InvalidArgument, "{rejected:?}");
    let violations = rejected.get_details_bad_request().unwrap().field_violations;
    let last = violations.last().unwrap();
    let more = 401 - violations.len();
    assert_eq!(violations[0].field, "parameters.locations[1]");
    assert_eq!(last.description, format!("and {more} more violations"));
    windrow.stop().await;
}

#[tokio::test]
async fn an_echo_of_a_long_text_is_cut() {
    let windrow = Windrow::start().await;
    let mut runs = ScrapingJobServiceClient::new(channel(&windrow).await);
    let job_id = "ä".repeat(1_000_000);
    let request = proto::TriggerJobRequest { job_id, ..Default::default() };
    let rejected = runs.trigger_job(request).await.unwrap_err();
    assert!(matches!(rejected.code(), Code::NotFound | Code::InvalidArgument), "{rejected:?}");

    let mut workers = WorkerServiceClient::new(channel(&windrow).await);
    let request = proto::LeaseScrapingJobsRequest {
        worker_id: "worker".to_owned(),
        sources: vec!["x".repeat(1_000_000)],
        capacity: 1,
        ..Default::default()
    };
    let rejected = workers.lease_scraping_jobs(request).await.unwrap_err();
    assert_eq!(rejected.code(), Code::InvalidArgument, "{rejected:?}");
    windrow.stop().await;
}
