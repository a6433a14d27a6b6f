//! A database that does not respond for longer than a lease, and a worker that stops.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sqlx::PgPool;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use windrow_client::proto::{PendingReasonCode, ScheduledJob, ScrapingJobStatus as Status};
use windrow_client::worker::{Source, SourceError, Task, Worker};
use windrow_server::config::Config;
use windrow_server::sources::{SourceSettings, WorkerSettings};

use crate::support::proxy::{Line, Proxy, Upstream};
use crate::support::{Windrow, database, eventually, job, parameters, wait_for};

const SOURCE: &str = "remote";
/// Long enough for an extension on a busy machine.
const LEASE: Duration = Duration::from_secs(10);

/// Finds nothing, and takes until a test opens the gate.
struct Gated(Arc<Semaphore>);

#[async_trait]
impl Source for Gated {
    async fn scrape(&self, _task: &Task) -> Result<(), SourceError> {
        self.0.acquire().await.map(drop).map_err(SourceError::failed)
    }
}

fn declare(config: &mut Config) {
    let remote = SourceSettings::Worker(WorkerSettings::default());
    config.sources.insert(SOURCE.to_owned(), remote);
    config.lease = LEASE;
    config.heartbeat = LEASE / 4;
}

async fn create(windrow: &Windrow) {
    let job = ScheduledJob { parameters: Some(parameters(SOURCE)), ..job("job") };
    windrow.create_as(job).await.unwrap();
}

#[tokio::test]
async fn an_outage_of_the_database_costs_no_attempt() {
    let url = database::new_database().await;
    let line = Proxy::start_to(Upstream::database(&url)).await;
    let windrow = Windrow::start_on(&line.database_url(&url), declare).await;
    create(&windrow).await;
    let (gate, stop) = (Arc::new(Semaphore::new(0)), CancellationToken::new());
    let worker = Worker::new(&windrow.client).source(SOURCE, Gated(Arc::clone(&gate)));
    let pool = PgPool::connect(&url).await.unwrap();
    let users = async {
        let run = windrow.trigger("job").await.job_id;
        wait_for(&mut windrow.client.watch(&run).from_start().states(), Status::Running).await;

        line.set(Line::Frozen);
        eventually("the lease has been expired for long", async || {
            let age =
                "select clock_timestamp() - lease_expires_at > interval '8 s' from scraping_job";
            let has_expired: bool = sqlx::query_scalar(age).fetch_one(&pool).await.unwrap();
            if has_expired { Ok(()) } else { Err("not yet") }
        })
        .await;
        line.set(Line::Clear);

        eventually("the lease is extended", async || {
            let left = "select lease_expires_at > clock_timestamp() from scraping_job";
            let is_extended: Option<bool> =
                sqlx::query_scalar(left).fetch_one(&pool).await.unwrap();
            if is_extended == Some(true) { Ok(()) } else { Err(is_extended) }
        })
        .await;
        gate.add_permits(1);
        let ended = windrow.end(&run).await;
        assert_eq!((ended.status(), ended.attempt), (Status::Completed, 1), "{ended:#?}");
        stop.cancel();
    };
    let (ended, ()) = tokio::join!(worker.run(stop.clone()), users);
    ended.unwrap();
    windrow.stop().await;
}

#[tokio::test]
async fn a_worker_that_stops_is_forgotten_at_once() {
    let windrow = Windrow::start_with(declare).await;
    create(&windrow).await;
    let stop = CancellationToken::new();
    let worker = Worker::new(&windrow.client).source(SOURCE, Gated(Arc::new(Semaphore::new(0))));
    let pool = PgPool::connect(&windrow.database_url).await.unwrap();
    let connected = "select count(*) from worker where sources = array[$1]";
    let connected =
        async || sqlx::query_scalar::<_, i64>(connected).bind(SOURCE).fetch_one(&pool).await;
    let users = async {
        eventually("the worker waits", async || {
            let count = connected().await.unwrap();
            if count == 1 { Ok(()) } else { Err(count) }
        })
        .await;
        stop.cancel();
        Instant::now()
    };
    let (ended, stopped_at) = tokio::join!(worker.run(stop.clone()), users);
    ended.unwrap();
    // Its call for runs waits for five seconds, unless the server ends it.
    assert!(stopped_at.elapsed() < Duration::from_secs(4), "took {:?}", stopped_at.elapsed());
    let run = windrow.trigger("job").await.job_id;
    let waits = windrow.get_run(&run).await.pending_reason.unwrap();
    assert_eq!(waits.code(), PendingReasonCode::NoWorker, "{waits:?}");
    windrow.stop().await;
}
