//! A database that goes away, or whose disk is full.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, raw_sql};
use tonic::Code;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use windrow_client::Client;
use windrow_client::proto::TriggerJobRequest;
use windrow_client::proto::scraping_job_service_client::ScrapingJobServiceClient;

use super::{execute_on, execute_run};
use crate::support::cluster::Cluster;
use crate::support::database::new_database;
use crate::support::program::Program;
use crate::support::{Windrow, eventually, job};

/// The line about the end of an outage.
const END: &str = "Workers have another lease's time";
/// An outage after which workers have more time.
const LONG: Duration = Duration::from_secs(4);

#[tokio::test]
async fn health_says_whether_the_database_answers() {
    let mut cluster = Cluster::start().await;
    let windrow = Windrow::start_on(&cluster.create("windrow"), |_| {}).await;
    assert_eq!(health(&windrow.address()).await, ServingStatus::Serving);

    cluster.kill();
    expect(&windrow, ServingStatus::NotServing).await;
    cluster.restart().await;
    expect(&windrow, ServingStatus::Serving).await;

    execute_run(&windrow).await;
    windrow.stop().await;
}

async fn expect(windrow: &Windrow, wanted: ServingStatus) {
    eventually(&format!("health is {wanted:?}"), async || {
        let status = health(&windrow.address()).await;
        if status == wanted { Ok(()) } else { Err(status) }
    })
    .await;
}

async fn health(address: &str) -> ServingStatus {
    let channel = Endpoint::new(format!("http://{address}")).unwrap().connect().await.unwrap();
    let mut client = HealthClient::new(channel);
    client.check(HealthCheckRequest::default()).await.unwrap().into_inner().status()
}

#[tokio::test]
async fn a_stopped_database_is_named_to_callers_and_its_outage_is_logged_once() {
    let mut cluster = Cluster::start().await;
    let settings = "[sources.quick]\nkind = \"sample\"\n";
    let url = cluster.create("windrow");
    let program = Program::start(&["--database-url", &url], settings, &[]);
    let calls =
        ScrapingJobServiceClient::connect(format!("http://{}", program.address)).await.unwrap();

    // The length of an outage is known if there was a pass of the reaper before.
    cluster.quit();
    program.log_line("Failed to process expired leases").await;
    cluster.restart().await;
    program.log_line("Able to process expired leases again").await;
    let before = program.count_log_lines(END);
    cluster.quit();
    let begun = Instant::now();
    // Meanwhile the reaper tries several times.
    eventually("calls name the cause of a long outage", async || {
        let request = TriggerJobRequest { job_id: "job".to_owned(), ..Default::default() };
        let status = calls.clone().trigger_job(request).await.unwrap_err();
        let is_named = status.message() == "the database is not running";
        if is_named && begun.elapsed() > LONG { Ok(()) } else { Err(status) }
    })
    .await;
    assert_eq!(program.count_log_lines(END), before);
    cluster.restart().await;

    eventually("the end of the outage is logged", async || {
        let count = program.count_log_lines(END);
        if count > before { Ok(()) } else { Err(count) }
    })
    .await;
    assert_eq!(program.count_log_lines(END), before + 1);
    assert_eq!(program.count_log_lines("sqlx::postgres::notice"), 0);
    assert_eq!(program.process.terminate(), Some(0));
}

/// As Postgres reports it when it extends a file of a table.
const FULL: &str = "create function full_disk() returns trigger language plpgsql as $$ begin
        raise exception 'could not extend file: No space left on device' using errcode = '53100';
    end $$;
    create trigger full_disk before insert on scraping_job for each row execute function full_disk()";

#[tokio::test]
async fn a_full_disk_is_named_to_callers_and_once_in_the_log() {
    let url = new_database().await;
    let settings = "[sources.quick]\nkind = \"sample\"\n";
    let program = Program::start(&["--database-url", &url], settings, &[]);
    let client = Client::connect(&program.address).await.unwrap();
    client.create_job(job("job")).await.unwrap();
    execute_on(&url, FULL).await;

    let mut calls =
        ScrapingJobServiceClient::connect(format!("http://{}", program.address)).await.unwrap();
    let mut trigger = async || {
        let request = TriggerJobRequest { job_id: "job".to_owned(), ..Default::default() };
        calls.trigger_job(request).await
    };
    for _ in 0..50 {
        let status = trigger().await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(status.message(), "the disk of the database is full");
    }
    execute_on(&url, "drop trigger full_disk on scraping_job").await;
    trigger().await.unwrap();

    program.log_line("Able to use the database for calls again").await;
    assert_eq!(program.count_log_lines("No space left on device"), 1);
    assert_eq!(program.process.terminate(), Some(0));
}

/// A role whose connections are lost again and again still gets each call done in the end.
#[tokio::test]
async fn connections_that_are_lost_are_replaced() {
    let url = new_database().await;
    let windrow = Windrow::start_on(&url, |_| {}).await;
    let mut connection = PgConnection::connect(&url).await.unwrap();
    for _ in 0..3 {
        let end = "select pg_terminate_backend(pid) from pg_stat_activity
            where datname = current_database() and pid <> pg_backend_pid()";
        connection.execute(raw_sql(AssertSqlSafe(end))).await.unwrap();
        execute_run(&windrow).await;
    }
    windrow.stop().await;
}
