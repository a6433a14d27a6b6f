//! Limits of sources and of scheduled jobs while many workers lease from two servers concurrently.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::join_all;
use sqlx::PgPool;
use tonic::transport::Channel;
use windrow_client::proto;
use windrow_server::config::Config;
use windrow_server::sources::{SourceSettings, WorkerSettings};

use crate::support::{PATIENCE, Windrow, job, parameters};
use proto::worker_service_client::WorkerServiceClient;

const SOURCE: &str = "limited";
const SOURCE_LIMIT: u32 = 5;
/// The scheduled jobs, and how many of their runs may be running; 0 is as many as the source may.
const JOBS: [(&str, i32); 3] = [("free", 0), ("single", 1), ("double", 2)];
const RUNS: usize = 60;
/// Of each server. Each asks for as much as the source may, all of them all the time.
const WORKERS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_hold_while_many_workers_lease_on_two_servers() {
    let change = |config: &mut Config| {
        let settings = SourceSettings::Worker(WorkerSettings::default());
        config.sources.insert(SOURCE.to_owned(), settings);
        config.source_limits.insert(SOURCE.to_owned(), SOURCE_LIMIT);
    };
    let one = Windrow::start_with(change).await;
    let other = Windrow::start_on(&one.database_url, change).await;
    for (id, limit) in JOBS {
        let parameters = Some(parameters(SOURCE));
        let limited = proto::ScheduledJob { parameters, max_concurrent_runs: limit, ..job(id) };
        one.create_as(limited).await.unwrap();
    }
    for _ in 0..RUNS {
        join_all(JOBS.map(|(id, _)| one.trigger(id))).await;
    }

    let left = AtomicUsize::new(RUNS * JOBS.len());
    let addresses = [one.address(), other.address()];
    let workers = addresses.iter().flat_map(|address| {
        let left = &left;
        (0..WORKERS).map(move |number| work(address, number, left))
    });
    tokio::time::timeout(PATIENCE, join_all(workers)).await.expect("some runs do not end");

    let most = most_running(&one.database_url).await;
    let limits = [(SOURCE, SOURCE_LIMIT), ("single", 1), ("double", 2)];
    for (name, limit) in limits {
        assert_eq!(most[name], limit, "the limit of {name} is kept, and used: {most:?}");
    }
    one.stop().await;
    other.stop().await;
}

/// Leases runs and ends them while there are any.
async fn work(address: &str, number: usize, left: &AtomicUsize) {
    let mut workers = WorkerServiceClient::connect(format!("http://{address}")).await.unwrap();
    while left.load(Ordering::Relaxed) > 0 {
        let request = proto::LeaseScrapingJobsRequest {
            worker_id: format!("{address}-{number}"),
            sources: vec![SOURCE.to_owned()],
            capacity: i32::try_from(SOURCE_LIMIT).unwrap(),
            wait: Some(prost_types::Duration { seconds: 1, nanos: 0 }),
            held: Vec::new(),
        };
        let leased = workers.lease_scraping_jobs(request).await.unwrap().into_inner();
        for lease in leased.leases {
            finish(&mut workers, lease).await;
            left.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

async fn finish(workers: &mut WorkerServiceClient<Channel>, lease: proto::Lease) {
    let run = lease.scraping_job.unwrap();
    let done = lease
        .locations
        .into_iter()
        .map(|location| proto::LocationResult { location, ..Default::default() });
    let request = proto::FinishScrapingJobRequest {
        worker_id: run.worker_id,
        attempt: Some(proto::Attempt { job_id: run.job_id, attempt: run.attempt }),
        outcome: proto::AttemptOutcome::Done.into(),
        location_results: done.collect(),
        ..Default::default()
    };
    workers.finish_scraping_job(request).await.unwrap();
}

/// The highest number of concurrent runs, of the source and of each job, by the order of events.
async fn most_running(database_url: &str) -> BTreeMap<String, u32> {
    let pool = PgPool::connect(database_url).await.unwrap();
    // The event that makes room for a lease is committed before the lease, so it has the smaller id.
    let events: Vec<(String, String, String)> = sqlx::query_as(
        "select e.job_id, r.scheduled_job_id, e.status
         from run_event e join scraping_job r using (job_id) order by e.id",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    let mut running: BTreeMap<String, String> = BTreeMap::new();
    let mut most: BTreeMap<String, u32> = BTreeMap::new();
    for (run, job, status) in events {
        if status == "running" {
            running.insert(run, job.clone());
        } else {
            running.remove(&run);
        }
        let of_job = running.values().filter(|other| **other == job).count();
        for (key, count) in [(SOURCE.to_owned(), running.len()), (job, of_job)] {
            let most = most.entry(key).or_default();
            *most = (*most).max(u32::try_from(count).unwrap());
        }
    }
    most
}
