//! Health, shutdown and limits, for load balancers and generic clients.

use std::time::Duration;

use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use windrow_client::{Code, proto};

use crate::support::{PATIENCE, SLOW, Windrow, job, parameters, wait_for};
use proto::ScrapingJobStatus as Status;

const SERVICES: [&str; 3] = ["", "windrow.v1.ScheduledJobService", "windrow.v1.ScrapingJobService"];

async fn health_of(windrow: &Windrow) -> HealthClient<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{}", windrow.address())).unwrap();
    HealthClient::new(endpoint.connect().await.unwrap())
}

#[tokio::test]
async fn health_is_not_serving_while_draining() {
    let windrow = Windrow::start().await;
    let slow = proto::ScheduledJob { parameters: Some(parameters(SLOW)), ..job("slow") };
    windrow.create_as(slow).await.unwrap();
    let run = windrow.trigger("slow").await.job_id;
    wait_for(&mut windrow.client.watch(&run).states(), Status::Running).await;
    let mut health = health_of(&windrow).await;
    let mut watches = Vec::new();
    for service in SERVICES {
        let request = HealthCheckRequest { service: service.to_owned() };
        assert_eq!(
            health.check(request.clone()).await.unwrap().get_ref().status(),
            ServingStatus::Serving
        );
        let mut watch = health.watch(request).await.unwrap().into_inner();
        assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
        watches.push(watch);
    }

    let told = async {
        for watch in &mut watches {
            let next = tokio::time::timeout(PATIENCE, watch.message()).await.unwrap();
            assert_eq!(next.unwrap().unwrap().status(), ServingStatus::NotServing);
        }
    };
    tokio::join!(windrow.stop(), told);
}

#[tokio::test]
async fn an_unknown_service_has_no_health() {
    let windrow = Windrow::start().await;
    let mut health = health_of(&windrow).await;

    let refused =
        health.check(HealthCheckRequest { service: "nope".to_owned() }).await.unwrap_err();

    assert_eq!(refused.code(), Code::NotFound);
    windrow.stop().await;
}

#[tokio::test]
async fn a_deadline_that_has_passed_ends_the_call() {
    let windrow = Windrow::start().await;
    let address = format!("http://{}", windrow.address());
    let mut service =
        proto::scheduled_job_service_client::ScheduledJobServiceClient::connect(address)
            .await
            .unwrap();
    let mut request = tonic::Request::new(proto::ListScheduledJobsRequest::default());
    request.set_timeout(Duration::from_nanos(1));

    let ended = service.list_scheduled_jobs(request).await.unwrap_err();

    assert!(matches!(ended.code(), Code::DeadlineExceeded | Code::Cancelled), "{ended:?}");
    windrow.stop().await;
}

#[tokio::test]
async fn a_request_beyond_the_size_limit_is_rejected() {
    let windrow = Windrow::start().await;
    let huge = proto::ScheduledJob { name: "x".repeat(5 * 1024 * 1024), ..job("huge") };

    let refused = windrow.create_as(huge).await.unwrap_err();

    assert_eq!(refused.code(), Code::OutOfRange);
    windrow.stop().await;
}
