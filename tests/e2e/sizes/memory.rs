//! The memory of a server while clients send unfinished messages, or do not read.

use std::time::{Duration, Instant};

use futures::future::join_all;
use h2::SendStream;
use h2::client::{ResponseFuture, SendRequest};
use proto::scheduled_job_service_client::ScheduledJobServiceClient;
use proto::scraping_job_service_client::ScrapingJobServiceClient;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tonic::codegen::{Bytes, http};
use tonic::transport::{Channel, Endpoint};
use windrow_client::proto;

use super::large_parameters;
use crate::support::database::new_database;
use crate::support::program::Program;
use crate::support::{eventually, job};

/// Maximum memory under each attack, in KiB.
pub(super) const LIMIT: u64 = 256 * 1024;
/// Memory that may stay after an attack, in KiB: caches are full then, and each database connection keeps what its largest
/// statement took.
const KEPT: u64 = 48 * 1024;
const SETTINGS: &str = "[sources.worked]\nkind = \"worker\"\n";
/// Pause between two looks at the memory.
const POLL: Duration = Duration::from_millis(200);

pub(super) async fn start() -> Program {
    start_on(&new_database().await)
}

pub(super) fn start_on(database_url: &str) -> Program {
    Program::start(&["--database-url", database_url], SETTINGS, &[])
}

/// A value of `/proc/PID/status` in KiB.
pub(super) fn memory(server: &Program, name: &str) -> u64 {
    let status = format!("/proc/{}/status", server.process.id());
    let status = std::fs::read_to_string(status).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
}

/// Waits until the memory in use is the same for two seconds.
pub(super) async fn settled(server: &Program) -> u64 {
    let (mut last, mut since) = (0, Instant::now());
    while since.elapsed() < Duration::from_secs(2) {
        let now = memory(server, "VmRSS");
        if now.abs_diff(last) > 1_024 {
            (last, since) = (now, Instant::now());
        }
        tokio::time::sleep(POLL).await;
    }
    last
}

/// Checks the peak, and that the memory returns. The allocator returns freed pages over ten seconds.
pub(super) async fn assert_bounded(server: &Program, before: u64) {
    let peak = memory(server, "VmHWM");
    assert!(peak < LIMIT, "{peak} KiB");
    let returned = eventually("the memory returns", async || {
        let now = memory(server, "VmRSS");
        if now < before + KEPT { Ok(now) } else { Err(now) }
    });
    let after = returned.await;
    eprintln!("memory in MiB: before {}, peak {}, after {}", before >> 10, peak >> 10, after >> 10);
}

/// Small windows, as a client has them that does not read.
pub(super) fn endpoint(server: &Program) -> Endpoint {
    let address = format!("http://{}", server.address);
    let endpoint = Channel::from_shared(address).unwrap();
    endpoint.initial_stream_window_size(65_535).initial_connection_window_size(1 << 20)
}

/// The ids of pending runs of a thousand locations.
pub(super) async fn create_runs(server: &Program, count: usize) -> Vec<String> {
    let channel = endpoint(server).connect().await.unwrap();
    let parameters = Some(large_parameters("worked"));
    let scheduled_job = Some(proto::ScheduledJob { parameters, ..job("large") });
    let request = proto::CreateScheduledJobRequest { scheduled_job, ..Default::default() };
    ScheduledJobServiceClient::new(channel.clone()).create_scheduled_job(request).await.unwrap();
    let mut runs = ScrapingJobServiceClient::new(channel);
    let mut ids = Vec::new();
    for _ in 0..count {
        let request = proto::TriggerJobRequest { job_id: "large".to_owned(), ..Default::default() };
        ids.push(runs.trigger_job(request).await.unwrap().into_inner().job_id);
    }
    ids
}

#[tokio::test]
async fn watches_that_are_not_read_hold_little_memory() {
    let server = start().await;
    create_runs(&server, 100).await;
    let before = settled(&server).await;

    let mut watches = Vec::new();
    for _ in 0..3 {
        let channel = endpoint(&server).connect().await.unwrap();
        for _ in 0..20 {
            let view = proto::ScrapingJobView::Full.into();
            let request = proto::WatchScrapingJobsRequest { view, ..Default::default() };
            let mut runs = ScrapingJobServiceClient::new(channel.clone());
            watches.push(runs.watch_scraping_jobs(request).await.unwrap());
        }
    }
    settled(&server).await;
    drop(watches);

    assert_bounded(&server, before).await;
}

#[tokio::test]
async fn pages_of_large_runs_take_little_memory() {
    let server = start().await;
    create_runs(&server, 100).await;
    let before = settled(&server).await;

    let channel = endpoint(&server).connect().await.unwrap();
    let list = async || {
        let mut runs = ScrapingJobServiceClient::new(channel.clone());
        let request = proto::ListScrapingJobsRequest { page_size: 1_000, ..Default::default() };
        runs.list_scraping_jobs(request).await.unwrap();
    };
    join_all((0..20).map(|_| list())).await;

    assert_bounded(&server, before).await;
}

/// Opens a stream of properties and sends a message of 4 MB, except its last byte.
fn send_unfinished(
    connection: &mut SendRequest<Bytes>,
    message: &Bytes,
) -> (ResponseFuture, SendStream<Bytes>) {
    let request = http::Request::post("http://windrow/windrow.v1.WorkerService/SubmitProperties")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap();
    let (response, mut stream) = connection.send_request(request, false).unwrap();
    stream.send_data(message.clone(), false).unwrap();
    (response, stream)
}

#[tokio::test]
async fn unfinished_messages_hold_little_memory_and_time_out() {
    let server = start().await;
    create_runs(&server, 1).await;
    let before = settled(&server).await;
    let length: u32 = 4_000_000;
    let mut message = vec![0];
    message.extend(length.to_be_bytes());
    message.resize(5 + 4_000_000 - 1, 1);
    let message = Bytes::from(message);

    let mut drivers = JoinSet::new();
    // Dropping a stream would cancel it.
    let (mut responses, mut streams) = (Vec::new(), Vec::new());
    for _ in 0..10 {
        let tcp = TcpStream::connect(&server.address).await.unwrap();
        let (connection, driver) = h2::client::handshake(tcp).await.unwrap();
        drivers.spawn(driver);
        let mut connection = connection.ready().await.unwrap();
        for _ in 0..30 {
            connection = connection.ready().await.unwrap();
            let (response, stream) = send_unfinished(&mut connection, &message);
            responses.push(response);
            streams.push(stream);
        }
    }
    // All streams have begun, and the server still serves others.
    let responses = join_all(responses).await;
    create_other(&server).await;
    settled(&server).await;
    let peak = memory(&server, "VmHWM");
    let mut first = responses.into_iter().next().unwrap().unwrap().into_body();
    assert!(first.data().await.is_none(), "no message is answered");
    let trailers = first.trailers().await.unwrap().unwrap();
    assert_eq!(trailers["grpc-status"], "4", "{trailers:?}");

    assert!(peak < LIMIT, "{peak} KiB");
    drop(streams);
    eprintln!("memory in MiB: before {}, peak {}", before >> 10, peak >> 10);
}

/// A call of another client.
pub(super) async fn create_other(server: &Program) {
    let channel = endpoint(server).connect().await.unwrap();
    let scheduled_job =
        Some(proto::ScheduledJob { parameters: Some(large_parameters("worked")), ..job("other") });
    let request = proto::CreateScheduledJobRequest { scheduled_job, ..Default::default() };
    let mut jobs = ScheduledJobServiceClient::new(channel);
    tokio::time::timeout(crate::support::PATIENCE, jobs.create_scheduled_job(request))
        .await
        .expect("the server does not serve other clients")
        .unwrap();
}
