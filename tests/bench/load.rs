//! Load from outside: triggers, and no-op runs executed by gRPC workers, beside the insertion of a bare run and an
//! outbox row by one commit each. The server is a process of its own, and every commit is forced to disk.
//! A second server of the same database has TLS, for the triggers of "trigger 64 tls".
//! `.dev/bench --bench load` runs it.
//!
//! It also verifies what it counts: every acknowledged trigger is in the table once, and every finished run has
//! one event of its end.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark fails by a panic")]
#![expect(clippy::print_stdout, reason = "what it measured")]
#![expect(clippy::disallowed_methods, reason = "a benchmark has no supervisor")]

#[path = "../../server/tests/support/database.rs"]
mod database;
#[path = "noop.rs"]
mod noop;
#[path = "program.rs"]
mod program;
#[path = "setting.rs"]
mod setting;
#[path = "tls.rs"]
mod tls;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::join_all;
use sqlx::{Connection, Executor, PgConnection};
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint};
use windrow::v1 as proto;
use windrow::v1::scraping_job_service_client::ScrapingJobServiceClient;
use windrow::v1::worker_service_client::WorkerServiceClient;

use self::program::Program;
use self::setting::setting;
use self::tls::Files;

const JOBS: usize = 100;
const CONNECTIONS: usize = 8;
const WORKERS: usize = 4;
const CAPACITY: i32 = 100;

/// Numbers the request ids.
static REQUESTS: AtomicU64 = AtomicU64::new(0);

/// One rate in each round.
type Rates = BTreeMap<&'static str, Vec<f64>>;

#[tokio::main]
async fn main() {
    let length = Duration::from_secs(setting("WINDROW_BENCH_SECONDS", 3));
    let rounds = setting("WINDROW_BENCH_ROUNDS", 5);
    let url = database::new_database().await;
    let server = Program::start(&url, noop::SETTINGS);
    let files = Files::new();
    let secure = Program::start(&url, &files.settings());
    create_jobs(&server.address).await;
    let (mut rates, mut triggered, mut executed) = (Rates::new(), 0, 0);
    for round in 1..=rounds {
        println!("Round {round} of {rounds}");
        let mut record = |what, done: u64, took: Duration| {
            let rate = u32::try_from(done).map_or(f64::NAN, f64::from) / took.as_secs_f64();
            rates.entry(what).or_default().push(rate);
        };
        let (done, took) = insert(&url, 32, length).await;
        record("reference", done, took);
        for (what, in_flight) in [("trigger 1", 1), ("trigger 64", 64), ("trigger 256", 256)] {
            let (done, took) = trigger(&plain(&server.address), in_flight, length).await;
            record(what, done, took);
            triggered += done;
        }
        let (done, took) = trigger(&files.endpoint(&secure.address), 64, length).await;
        record("trigger 64 tls", done, took);
        triggered += done;
        let (done, took) = work(&server.address, length).await;
        record("executed", done, took);
        executed += done;
    }
    verify(&url, triggered, executed).await;
    report(&rates);
    println!("Resident memory of the server: {} MiB", server.memory() / 1_024);
}

fn report(rates: &Rates) {
    let at = |what: &str, part: fn(usize) -> usize| {
        let mut rates = rates.get(what).cloned().unwrap_or_default();
        rates.sort_by(f64::total_cmp);
        rates.get(part(rates.len())).copied().unwrap_or(f64::NAN)
    };
    let median = |what| at(what, |count| count / 2);
    println!("per second          median        min        max of the reference");
    let mut figures = serde_json::Map::new();
    for (what, all) in rates {
        let (min, max) = (at(what, |_| 0), at(what, |count| count.saturating_sub(1)));
        let ratio = median(what) / median("reference");
        println!("{what:<15} {:>10.0} {min:>10.0} {max:>10.0} {ratio:>16.3}", median(what));
        figures.insert((*what).to_owned(), serde_json::json!({ "rates": all, "ratio": ratio }));
    }
    println!("{}", serde_json::Value::Object(figures));
}

fn plain(address: &str) -> Endpoint {
    Endpoint::from_shared(format!("http://{address}")).unwrap()
}

async fn channel(endpoint: &Endpoint) -> Channel {
    endpoint.clone().tcp_nodelay(true).connect().await.unwrap()
}

async fn create_jobs(address: &str) {
    let channel = channel(&plain(address)).await;
    for number in 0..JOBS {
        noop::create_job(channel.clone(), &format!("load-{number}")).await;
    }
}

/// Repeats a call in each of several lanes until the time is over; returns the number of calls and the time.
async fn repeat<C, F: Future<Output = u64> + Send + 'static>(
    lanes: Vec<C>,
    length: Duration,
    run: impl Fn(C, Instant) -> F,
) -> (u64, Duration) {
    let start = Instant::now();
    let lanes = lanes.into_iter().map(|lane| tokio::spawn(run(lane, start + length)));
    let done = join_all(lanes).await.into_iter().map(Result::unwrap).sum();
    (done, start.elapsed())
}

/// Inserts a row like a run and a row like an event, with a commit for each pair.
async fn insert(url: &str, connections: usize, length: Duration) -> (u64, Duration) {
    let mut conn = PgConnection::connect(url).await.unwrap();
    conn.execute(
        "create schema if not exists reference;
         create table if not exists reference.run (
            id bigint generated always as identity primary key, job text not null, status text not null,
            body text not null, created_at timestamptz not null default now()
         );
         create table if not exists reference.outbox (
            id bigint generated always as identity primary key, run bigint not null, body text not null
         )",
    )
    .await
    .unwrap();
    let lanes = join_all((0..connections).map(|_| PgConnection::connect(url))).await;
    repeat(lanes, length, async |conn, until| {
        let (mut conn, mut done) = (conn.unwrap(), 0);
        while Instant::now() < until {
            sqlx::query(
                "with run as (
                    insert into reference.run (job, status, body)
                    values ($1, 'pending', repeat('x', 300)) returning id
                 )
                 insert into reference.outbox (run, body) select id, repeat('y', 200) from run",
            )
            .bind("load-1")
            .execute(&mut conn)
            .await
            .unwrap();
            done += 1;
        }
        done
    })
    .await
}

async fn trigger(endpoint: &Endpoint, in_flight: usize, length: Duration) -> (u64, Duration) {
    let channels = join_all((0..CONNECTIONS.min(in_flight)).map(|_| channel(endpoint))).await;
    let lanes = channels.into_iter().cycle().take(in_flight).enumerate().collect();
    repeat(lanes, length, async |(lane, channel): (usize, Channel), until| {
        let mut client = ScrapingJobServiceClient::new(channel);
        let mut done = 0;
        while Instant::now() < until {
            let request_id = format!("load-{}", REQUESTS.fetch_add(1, Ordering::Relaxed));
            let job_id = format!("load-{}", (lane + 7 * usize::try_from(done).unwrap()) % JOBS);
            let request = proto::TriggerJobRequest { job_id, request_id, ..Default::default() };
            client.trigger_job(request).await.unwrap();
            done += 1;
        }
        done
    })
    .await
}

/// Leases and finishes runs, each lease of a worker after the last run of the one before.
async fn work(address: &str, length: Duration) -> (u64, Duration) {
    let endpoint = plain(address);
    let lanes = join_all((0..WORKERS).map(|_| channel(&endpoint))).await;
    let lanes = lanes.into_iter().enumerate().collect();
    repeat(lanes, length, async |(number, channel): (usize, Channel), until| {
        let client = WorkerServiceClient::new(channel);
        let mut done = 0;
        while Instant::now() < until {
            let request = proto::LeaseScrapingJobsRequest {
                worker_id: format!("load-{number}"),
                sources: vec!["noop".to_owned()],
                capacity: CAPACITY,
                wait: Some(Duration::from_millis(200).try_into().unwrap()),
                ..Default::default()
            };
            let leases = client.clone().lease_scraping_jobs(request).await.unwrap();
            let finished =
                leases.into_inner().leases.into_iter().map(|it| noop::finish(&client, it));
            done += u64::try_from(join_all(finished).await.len()).unwrap();
        }
        done
    })
    .await
}

async fn verify(url: &str, triggered: u64, executed: u64) {
    let mut conn = PgConnection::connect(url).await.unwrap();
    let mut count =
        async |what| -> i64 { sqlx::query_scalar(what).fetch_one(&mut conn).await.unwrap() };
    let runs = count("select count(*) from scraping_job").await;
    assert_eq!(u64::try_from(runs).unwrap(), triggered, "a run for each acknowledged trigger");
    let ended = count("select count(*) from scraping_job where status = 'completed'").await;
    assert_eq!(u64::try_from(ended).unwrap(), executed, "each finished run has ended");
    let ends = count("select count(*) from run_event where status = 'completed'").await;
    assert_eq!(ends, ended, "each run ended once");
    println!("Verified: {runs} runs for as many triggers, {ended} of them ended once");
}
