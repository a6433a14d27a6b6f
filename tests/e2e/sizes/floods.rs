//! The memory of a server under floods of calls and connections.

use std::time::Instant;

use futures::FutureExt;
use futures::future::join_all;
use h2::RecvStream;
use proto::scraping_job_service_client::ScrapingJobServiceClient;
use proto::worker_service_client::WorkerServiceClient;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::codegen::{Bytes, http};
use windrow_client::proto;

use super::attacks::{Attacker, frame, message, request};
use super::memory::{assert_bounded, create_runs, endpoint, settled, start};
use crate::support::PATIENCE;
use crate::support::program::Program;

const SUBMIT: &str = "WorkerService/SubmitProperties";
const WINDOW: u32 = 65_535;

async fn heartbeat(server: &Program) {
    let channel = endpoint(server).connect().await.unwrap();
    let worker_id = "worker".to_owned();
    let request = proto::HeartbeatRequest { worker_id, ..Default::default() };
    let beat =
        timeout(PATIENCE, async { WorkerServiceClient::new(channel).heartbeat(request).await });
    beat.await.expect("the server does not answer heartbeats").unwrap();
}

/// Whether a call has ended with RESOURCE_EXHAUSTED, at its start or after the start of its message.
async fn is_refused(response: http::Response<RecvStream>) -> bool {
    let is_status =
        |headers: &http::HeaderMap| headers.get("grpc-status").is_some_and(|status| status == "8");
    if is_status(response.headers()) {
        return true;
    }
    let mut body = response.into_body();
    let has_ended = matches!(body.data().now_or_never(), Some(None));
    has_ended && body.trailers().await.unwrap().is_some_and(|trailers| is_status(&trailers))
}

#[tokio::test]
async fn a_client_that_changes_its_settings_without_end_is_disconnected() {
    let server = start().await;
    let mut client = TcpStream::connect(&server.address).await.unwrap();
    let settings = [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 255, 255];
    client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    client.write_all(&settings.repeat(101)).await.unwrap();
    let end = timeout(PATIENCE, client.read_to_end(&mut Vec::new())).await;
    // The server may close before it has read everything; then the end is a reset.
    drop(end.expect("the connection stays open"));
    heartbeat(&server).await;
}

#[tokio::test]
async fn a_flood_of_unfinished_small_messages_is_refused_and_heartbeats_are_not() {
    let server = start().await;
    let before = settled(&server).await;
    let unfinished = frame(&[1; 15_000], 1_000);

    let mut attackers = Vec::new();
    for _ in 0..8 {
        let mut attacker = Attacker::connect(&server, WINDOW).await;
        for _ in 0..1_500 {
            attacker.call(request(SUBMIT), unfinished.clone(), false).await;
        }
        attackers.push(attacker);
    }
    settled(&server).await;
    heartbeat(&server).await;
    let mut refused = 0;
    for attacker in &mut attackers {
        for response in join_all(attacker.responses.drain(..)).await {
            refused += usize::from(is_refused(response.unwrap()).await);
        }
    }
    assert!(refused > 1_000, "{refused}");
    drop(attackers);

    assert_bounded(&server, before).await;
}

#[tokio::test]
async fn long_headers_take_room() {
    let server = start().await;
    let before = settled(&server).await;

    let mut attackers = Vec::new();
    for _ in 0..8 {
        let mut attacker = Attacker::connect(&server, WINDOW).await;
        for _ in 0..1_900 {
            let mut request = request("ScheduledJobService/GetScheduledJob");
            for _ in 0..6 {
                let mut value: http::HeaderValue = "y".repeat(1_000).parse().unwrap();
                // Or all would share one in the table of the connection.
                value.set_sensitive(true);
                request.headers_mut().append("x-long", value);
            }
            attacker.call(request, Bytes::new(), false).await;
        }
        attackers.push(attacker);
    }
    settled(&server).await;
    heartbeat(&server).await;
    drop(attackers);

    assert_bounded(&server, before).await;
}

#[tokio::test]
async fn answers_that_are_not_read_hold_little_memory() {
    let server = start().await;
    let ids = create_runs(&server, 1).await;
    let before = settled(&server).await;
    let get = proto::GetScrapingJobRequest { job_id: ids[0].clone() };

    for window in [0, 1] {
        let mut attacker = Attacker::connect(&server, window).await;
        for _ in 0..1_600 {
            let request = request("ScrapingJobService/GetScrapingJob");
            attacker.call(request, message(&get), true).await;
        }
        settled(&server).await;
        let begin = Instant::now();
        let mut runs = ScrapingJobServiceClient::new(endpoint(&server).connect().await.unwrap());
        runs.get_scraping_job(get.clone()).await.unwrap();
        assert!(begin.elapsed().as_secs() < 5, "others wait {:?}", begin.elapsed());
    }

    assert_bounded(&server, before).await;
}

#[tokio::test]
async fn connections_that_wait_for_room_hold_little_memory() {
    let server = start().await;
    let before = settled(&server).await;
    let unfinished = frame(&vec![1; 1_000_000], 3_000_000);

    let mut attackers = Vec::new();
    for _ in 0..400 {
        let mut attacker = Attacker::connect(&server, WINDOW).await;
        attacker.call(request(SUBMIT), unfinished.clone(), false).await;
        attackers.push(attacker);
    }
    settled(&server).await;
    drop(attackers);

    assert_bounded(&server, before).await;
}
