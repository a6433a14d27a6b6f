//! Requests: compressed ones, and their maximum size.

use proto::scraping_job_service_client::ScrapingJobServiceClient;
use tonic::Code;
use tonic::codec::CompressionEncoding;
use windrow_client::proto;

use super::{channel, large_parameters};
use crate::support::{QUICK, Windrow};

#[tokio::test]
async fn a_compressed_request_is_accepted_up_to_the_maximum_size() {
    let windrow = Windrow::start().await;
    let runs = ScrapingJobServiceClient::new(channel(&windrow).await);
    let mut runs = runs.send_compressed(CompressionEncoding::Gzip);
    let parameters = Some(large_parameters(QUICK));
    let request = proto::SubmitScrapingJobRequest { parameters, ..Default::default() };
    let submitted = runs.submit_scraping_job(request.clone()).await.unwrap().into_inner();
    assert_eq!(submitted.scraping_job.unwrap().total_locations, 1_000);

    // 5 MB that take 5 KB while they are compressed.
    let labels = [("key".to_owned(), "x".repeat(5_000_000))].into();
    let bomb = proto::SubmitScrapingJobRequest { labels, ..request };
    let rejected = runs.submit_scraping_job(bomb).await.unwrap_err();
    assert_eq!(rejected.code(), Code::ResourceExhausted, "{rejected:?}");
    windrow.stop().await;
}
