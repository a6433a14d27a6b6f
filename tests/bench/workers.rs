//! Latency of workers: from a submission to the source that is called, at 50 and 500 runs a second, and from a
//! cancellation to the end of the work; beside an INSERT's commit and a gRPC echo in the same run.
//! `.dev/bench --bench workers` runs it.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark fails by a panic")]
#![expect(clippy::print_stdout, reason = "what it measured")]
#![expect(clippy::disallowed_methods, reason = "a benchmark has no supervisor")]

#[path = "../../server/tests/support/database.rs"]
mod database;
#[path = "figures.rs"]
mod figures;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use futures::{Stream, TryStreamExt};
use tokio::time::{Instant, interval, sleep};
use tokio_util::sync::CancellationToken;
use windrow_client::worker::{Source, SourceError, Task, Worker};
use windrow_client::{Client, Error, SubmitRun, proto};
use windrow_server::config::{Config, Database};
use windrow_server::sources::{SampleSettings, SourceSettings, WorkerSettings};
use windrow_server::{Running, Server};

use self::figures::Figures;

/// Executed by the first server itself.
const INSIDE: &str = "inside";
/// Executed by a worker of the first server, and by one of the second.
const WORKERS: [&str; 2] = ["near", "far"];
/// The location whose scrape ends only by a stop.
const ENDLESS: &str = "endless";
/// Runs a second, and how many.
const STARTS: [(u64, u64); 2] = [(50, 1_000), (500, 5_000)];
/// Cancellations in groups of this size.
const CANCELS: usize = 200;
const LANES: usize = 20;

/// Says when it was called for which run.
#[derive(Clone, Default)]
struct Started(Arc<Mutex<HashMap<String, Instant>>>);

#[async_trait]
impl Source for Started {
    fn timeout(&self) -> Duration {
        Duration::from_hours(1)
    }

    async fn scrape(&self, task: &Task) -> Result<(), SourceError> {
        let run = task.request().job_id.clone();
        self.0.lock().unwrap().insert(run, Instant::now());
        if task.location() == ENDLESS {
            task.cancelled().await;
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() {
    let url = database::new_database().await;
    let (one, other) = (start(&url).await, start(&url).await);
    let client = connect(&one).await;
    let stop = CancellationToken::new();
    let started = Started::default();
    let mut workers = Vec::new();
    for (source, client) in WORKERS.into_iter().zip([client.clone(), connect(&other).await]) {
        let worker = Worker::new(&client).source(source, started.clone()).capacity(50);
        workers.push(tokio::spawn(worker.grace(Duration::ZERO).run(stop.clone())));
    }

    let base = figures::base(&url, &one.addr().to_string()).await;
    for (rate, count) in STARTS {
        for source in WORKERS {
            let figures = starts(&client, source, &started, (rate, count)).await;
            let what = format!("submission to start at {rate} a second, worker {source}");
            figures.print_beside(base, &what);
        }
    }
    for source in [INSIDE, WORKERS[0], WORKERS[1]] {
        let figures = cancels(&client, source).await;
        figures.print_beside(base, &format!("cancellation to stopped, {source}"));
    }
    stop.cancel();
    join_all(workers).await;
    one.stop().await;
    other.stop().await;
}

async fn start(url: &str) -> Running {
    let minute = Duration::from_mins(1);
    let inside = SampleSettings { listings_per_location: 2, pace: minute };
    let mut config = Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        stop_grace: Duration::ZERO,
        max_concurrent_runs: u32::try_from(LANES).unwrap(),
        ..Config::new(Database::Url(url.to_owned()))
    };
    config.sources.insert(INSIDE.to_owned(), SourceSettings::Sample(inside));
    for source in WORKERS {
        let worker = SourceSettings::Worker(WorkerSettings::default());
        config.sources.insert(source.to_owned(), worker);
    }
    Server::start(config).await.unwrap()
}

async fn connect(server: &Running) -> Client {
    Client::connect(&server.addr().to_string()).await.unwrap()
}

/// From before a run is asked for until its worker calls the source; both the call and the commit
/// are within.
async fn starts(
    client: &Client,
    source: &'static str,
    started: &Started,
    (rate, count): (u64, u64),
) -> Figures {
    let mut clock = interval(Duration::from_millis(1_000 / rate));
    let mut asking = Vec::new();
    for _ in 0..count {
        clock.tick().await;
        let client = client.clone();
        asking.push(tokio::spawn(async move {
            let begin = Instant::now();
            (submit(&client, source, "at once").await, begin)
        }));
    }
    let mut took = Vec::new();
    for asked in asking {
        let (run, begin) = asked.await.unwrap();
        let mut states = client.watch(&run).states();
        while states.try_next().await.unwrap().is_some() {}
        let start = *started.0.lock().unwrap().get(&run).expect("the run was executed");
        took.push(start - begin);
    }
    Figures::of(took)
}

/// From before a cancellation is asked for until the run is cancelled, which its worker says when it
/// has stopped.
async fn cancels(client: &Client, source: &'static str) -> Figures {
    let lanes = (0..LANES).map(|_| {
        let client = client.clone();
        tokio::spawn(async move {
            let mut took = Vec::new();
            for _ in 0..CANCELS / LANES {
                took.push(cancel(&client, source).await);
            }
            took
        })
    });
    let lanes = join_all(lanes).await;
    Figures::of(lanes.into_iter().flat_map(Result::unwrap).collect())
}

async fn cancel(client: &Client, source: &str) -> Duration {
    let run = submit(client, source, ENDLESS).await;
    let mut states = client.watch(&run).from_start().states();
    until(&mut states, proto::ScrapingJobStatus::Running).await;
    // The worker's heartbeats know the run by then, and are at any place of their beat.
    sleep(Duration::from_millis(rand::random_range(1_000..2_000))).await;
    let begin = Instant::now();
    client.cancel_run(run).await.unwrap();
    until(&mut states, proto::ScrapingJobStatus::Cancelled).await;
    begin.elapsed()
}

async fn until(
    states: &mut (impl Stream<Item = Result<proto::ScrapingJob, Error>> + Unpin),
    wanted: proto::ScrapingJobStatus,
) {
    while states.try_next().await.unwrap().expect("the run ended otherwise").status() != wanted {}
}

async fn submit(client: &Client, source: &str, location: &str) -> String {
    client.submit_run(SubmitRun::new(location).source(source)).await.unwrap().job_id
}
