//! Requests of more parts than any client needs.

use futures::future::join_all;
use proto::scraping_job_service_client::ScrapingJobServiceClient;
use proto::worker_service_client::WorkerServiceClient;
use tonic::Code;
use tonic_types::StatusExt;
use windrow_client::proto;
use windrow_server::sources::{SourceSettings, WorkerSettings};

use super::attacks::{Attacker, frame, request};
use super::channel;
use super::memory::{LIMIT, create_other, memory, settled, start};
use crate::support::{QUICK, Windrow, parameters};

#[tokio::test]
async fn requests_of_very_many_parts_are_refused() {
    let server = start().await;
    settled(&server).await;
    // Two million empty log lines.
    let message = frame(&[0x2a_u8, 0].repeat(2_000_000), 0);

    let mut attackers = Vec::new();
    for _ in 0..4 {
        let mut attacker = Attacker::connect(&server, 65_535).await;
        for _ in 0..5 {
            attacker.call(request("WorkerService/SubmitProperties"), message.clone(), true).await;
        }
        attackers.push(attacker);
    }
    for attacker in &mut attackers {
        for response in join_all(attacker.responses.drain(..)).await {
            let mut body = response.unwrap().into_body();
            assert!(body.data().await.is_none(), "no message is answered");
            let trailers = body.trailers().await.unwrap().unwrap();
            assert_eq!(trailers["grpc-status"], "3", "{trailers:?}");
        }
    }
    create_other(&server).await;

    let peak = memory(&server, "VmHWM");
    assert!(peak < LIMIT, "{peak} KiB");
    eprintln!("peak {} MiB", peak >> 10);
}

#[tokio::test]
async fn a_request_of_too_many_parts_is_rejected_with_details() {
    let windrow = Windrow::start().await;
    let mut runs = ScrapingJobServiceClient::new(channel(&windrow).await);
    let locations = vec![String::new(); 1_500_000];
    let parameters = Some(proto::ScrapeParameters { locations, ..parameters(QUICK) });
    let request = proto::SubmitScrapingJobRequest { parameters, ..Default::default() };

    let rejected = runs.submit_scraping_job(request).await.unwrap_err();

    assert_eq!(rejected.code(), Code::InvalidArgument, "{rejected:?}");
    let reason = rejected.get_details_error_info().unwrap().reason;
    assert_eq!(reason, windrow::reason::INVALID_ARGUMENT);
    let violations = rejected.get_details_bad_request().unwrap().field_violations;
    assert_eq!(violations[0].field, "request", "{violations:?}");
    windrow.stop().await;
}

#[tokio::test]
async fn a_worker_that_names_thousands_of_attempts_is_rejected() {
    let windrow = Windrow::start_with(|config| {
        let declared = SourceSettings::Worker(WorkerSettings::default());
        config.sources.insert("worked".to_owned(), declared);
    })
    .await;
    let mut workers = WorkerServiceClient::new(channel(&windrow).await);
    let request = proto::LeaseScrapingJobsRequest {
        worker_id: "worker".to_owned(),
        sources: vec!["worked".to_owned()],
        capacity: 1,
        held: vec![proto::Attempt::default(); 1_001],
        ..Default::default()
    };
    let rejected = workers.lease_scraping_jobs(request).await.unwrap_err();
    assert_eq!(rejected.code(), Code::InvalidArgument, "{rejected:?}");
    assert!(rejected.message().starts_with("held: "), "{rejected:?}");
    windrow.stop().await;
}
