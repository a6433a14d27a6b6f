//! Two servers with workers in two languages, under kill -9, SIGSTOP and bad connections: every run ends
//! exactly once, and calls of a worker that lost its lease change nothing.

mod promises;
mod stale;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sqlx::PgPool;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use windrow_client::{Client, Code, proto};

use self::stale::StaleCalls;
use crate::faults::Fault::{
    CutLine, FreezeLine, KillServer, KillWorker, SlowLine, SuspendServer, SuspendWorker,
};
use crate::faults::{Concurrency, FaultPlan, Injector};
use crate::options;
use crate::stage::{Stage, wait_until_all_runs_ended};
use crate::support::database::new_database;
use crate::support::program::Program;
use crate::support::{eventually, job, parameters, python};

const LEASE: Duration = Duration::from_secs(4);
const ROWS: u32 = 30;
const LOCATIONS: [&str; 3] = ["one", "two", "three"];
const SECONDS: u64 = 25;
/// Between two triggers.
const TRIGGER_INTERVAL: Duration = Duration::from_millis(350);
const FAULTS: FaultPlan = FaultPlan {
    faults: &[KillServer, SuspendServer, KillWorker, SuspendWorker, CutLine, SlowLine, FreezeLine],
    concurrency: Concurrency::OnePerTarget,
    // Longer than the lease.
    shortest_outage: Duration::from_millis(4_500),
    interval: 200..1_200,
};
/// The servers themselves execute the source `local`, so a suspended server loses leases too.
const SETTINGS: &str = r#"
lease = "4s"
heartbeat = "1s"
max_concurrent_runs = 3

[sources.rust]
kind = "worker"

[sources.python]
kind = "worker"

[sources.local]
kind = "exec"
command = ["awk", '''BEGIN { for (i = 1; i <= 30; i++) { printf "{\"property_id\":\"%s %s %d\",\"attempt\":%d}\n", ENVIRON["WINDROW_JOB_ID"], ENVIRON["WINDROW_LOCATION"], i, ENVIRON["WINDROW_ATTEMPT"]; if (i % 6 == 0) { fflush(); system("sleep 0.2") } } }''']
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "a test has no supervisor")]
async fn every_run_ends_once_and_calls_after_a_lost_lease_change_nothing() {
    let seed = options::seed("WINDROW_CHAOS_SEED");
    let length = Duration::from_secs(options::number("WINDROW_CHAOS_SECONDS", SECONDS));
    tokio::task::spawn_blocking(python::install).await.unwrap();
    let url = new_database().await;
    let pool = PgPool::connect(&url).await.unwrap();
    let servers = Stage::start(SETTINGS, &[url.clone(), url]).await;
    let with_workers =
        servers.with_workers(worker::rust_worker).with_workers(worker::python_worker);
    let stage = Arc::new(with_workers);
    create_jobs(&stage.addresses()[0]).await;

    let (enough, all_ended) = (CancellationToken::new(), CancellationToken::new());
    let silence = tokio::spawn(promises::longest_silence(pool.clone(), all_ended.clone()));
    let calls = Arc::new(StaleCalls::default());
    let (sender, target, stop) = (Arc::clone(&calls), Arc::clone(&stage), enough.clone());
    let sending = tokio::spawn(async move { sender.send(&target, stop).await });
    let triggering = tokio::spawn(trigger(Arc::clone(&stage), seed, enough.clone()));
    let injector = Injector::new(&stage, FAULTS, seed);
    let stop_after_effects = async {
        sleep(length).await;
        wait_for_effects(&pool, &calls).await;
        enough.cancel();
    };
    tokio::join!(injector.run(&enough), stop_after_effects);
    sending.await.unwrap();
    let triggered = triggering.await.unwrap();
    wait_until_all_runs_ended(&pool).await;
    all_ended.cancel();
    let silence = silence.await.unwrap();

    let lost = promises::lost_leases(&pool).await;
    let figures = promises::figures(&pool).await;
    eprintln!("{injector}\n{figures}\n{lost} leases lost; {calls}");
    eprintln!("longest time that a run was running without a heartbeat: {silence:.1?}");
    promises::check(&pool).await;
    let runs: i64 =
        sqlx::query_scalar("select count(*) from scraping_job").fetch_one(&pool).await.unwrap();
    assert_eq!(runs, triggered, "one run per trigger, however often the request was sent");
}

/// Waits until some leases were lost and stale calls were refused. A fast machine may need more time for that than
/// a slow one.
async fn wait_for_effects(pool: &PgPool, calls: &StaleCalls) {
    eventually("leases are lost and stale calls refused", async || {
        let (lost, refused) = (promises::lost_leases(pool).await, calls.refused());
        if lost > 0 && refused > 0 {
            Ok(())
        } else {
            Err(format!("{lost} lost, {refused} refused"))
        }
    })
    .await;
}

/// A query that cannot notice a violation proves nothing.
#[tokio::test]
async fn the_queries_notice_every_violated_promise() {
    let url = new_database().await;
    let pool = PgPool::connect(&url).await.unwrap();
    let server = Program::start(&["--database-url", &url], SETTINGS, &[]);
    create_jobs(&server.address).await;
    let client = Client::connect(&server.address).await.unwrap();
    let request = proto::TriggerJobRequest { job_id: "local".to_owned(), ..Default::default() };
    client.trigger_job(request).await.unwrap();
    wait_until_all_runs_ended(&pool).await;
    promises::check(&pool).await;
    promises::check_queries(&pool).await;
}

async fn create_jobs(server: &str) {
    let client = Client::connect(server).await.unwrap();
    for source in ["rust", "python", "local"] {
        let millis = |millis: i32| prost_types::Duration { seconds: 0, nanos: millis * 1_000_000 };
        let scheduled_job = proto::ScheduledJob {
            parameters: Some(proto::ScrapeParameters {
                locations: LOCATIONS.map(str::to_owned).to_vec(),
                request_delay: Some(prost_types::Duration::default()),
                ..parameters(source)
            }),
            policy: Some(proto::RunPolicy {
                max_attempts: Some(20),
                initial_backoff: Some(millis(100)),
                max_backoff: Some(millis(500)),
                ..Default::default()
            }),
            ..job(source)
        };
        let request = proto::CreateScheduledJobRequest {
            scheduled_job: Some(scheduled_job),
            ..Default::default()
        };
        client.raw().create_scheduled_job(request).await.unwrap();
    }
}

/// Triggers runs until `stop` and cancels some of them. Returns the number of triggers.
async fn trigger(stage: Arc<Stage>, seed: u64, stop: CancellationToken) -> i64 {
    let mut random = StdRng::seed_from_u64(seed.wrapping_add(1));
    let mut cancelling = JoinSet::new();
    let mut triggered = 0;
    while !stop.is_cancelled() {
        // Most by the Rust workers, which need the least CPU time.
        let job = ["rust", "rust", "local", "python"][random.random_range(0..4)];
        let request = proto::TriggerJobRequest {
            job_id: job.to_owned(),
            request_id: format!("{triggered}"),
            ..Default::default()
        };
        let run = stage.call(|client| {
            let request = request.clone();
            async move { client.trigger_job(request).await }
        });
        let run = run.await.job_id;
        triggered += 1;
        if random.random_range(0..6) == 0 {
            let (stage, pause) = (Arc::clone(&stage), random.random_range(0..4_000));
            cancelling.spawn(async move {
                sleep(Duration::from_millis(pause)).await;
                cancel(&stage, &run).await;
            });
        }
        sleep(TRIGGER_INTERVAL).await;
    }
    while let Some(ended) = cancelling.join_next().await {
        ended.unwrap();
    }
    triggered
}

async fn cancel(stage: &Stage, run: &str) {
    let cancelled = stage.call(|client| async move {
        let request = proto::CancelScrapingJobRequest { job_id: run.to_owned() };
        match client.raw().cancel_scraping_job(request).await {
            // The run has ended.
            Err(error) if error.code() == Code::FailedPrecondition => Ok(()),
            other => other.map(drop),
        }
    });
    cancelled.await;
}
