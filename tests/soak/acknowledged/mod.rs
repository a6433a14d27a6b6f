//! As many triggers as a server can take, while it and its Postgres are killed. A call without an answer is
//! repeated with its request id. In the end every request has exactly one run, the one that was returned.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use windrow_client::{Client, proto};

use crate::faults::Fault::{KillPostgres, KillServer};
use crate::faults::{Concurrency, FaultPlan, Injector};
use crate::options;
use crate::postgres::Postgres;
use crate::stage::{CALL_TIMEOUT, Stage};
use crate::support::{PATIENCE, job, parameters};

const SECONDS: u64 = 15;
const JOBS: usize = 10;
/// Concurrent calls.
const LANES: usize = 64;
const FAULTS: FaultPlan = FaultPlan {
    faults: &[KillServer, KillPostgres],
    concurrency: Concurrency::OneAtATime,
    shortest_outage: Duration::ZERO,
    interval: 500..1_500,
};
/// No worker serves the source, so the triggers have the machine for themselves.
const SETTINGS: &str = "[sources.nobody]\nkind = \"worker\"\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "a test has no supervisor")]
async fn every_acknowledged_trigger_is_there_exactly_once() {
    let seed = options::seed("WINDROW_ACKNOWLEDGED_SEED");
    let length = Duration::from_secs(options::number("WINDROW_ACKNOWLEDGED_SECONDS", SECONDS));
    let postgres = Postgres::start().await;
    let pool = PgPool::connect_lazy(&postgres.url).unwrap();
    let stage = Stage::start(SETTINGS, std::slice::from_ref(&postgres.url)).await;
    let stage = Arc::new(stage.with_postgres(postgres));
    for number in 0..JOBS {
        create(&stage, number).await;
    }

    let stop = CancellationToken::new();
    let lanes: Vec<_> = (0..LANES)
        .map(|number| tokio::spawn(trigger(Arc::clone(&stage), number, stop.clone())))
        .collect();
    let injector = Injector::new(&stage, FAULTS, seed);
    let stop_in_time = async {
        sleep(length).await;
        stop.cancel();
    };
    tokio::join!(injector.run(&stop), stop_in_time);
    let (mut acknowledged, mut repeated) = (BTreeMap::new(), 0);
    for lane in lanes {
        let (runs, repetitions) = lane.await.unwrap();
        acknowledged.extend(runs);
        repeated += repetitions;
    }

    let count = acknowledged.len();
    let expected: BTreeSet<String> = acknowledged.into_values().collect();
    assert_eq!(expected.len(), count, "two requests have the same run");
    let runs: Vec<String> = sqlx::query_scalar("select job_id from scraping_job order by job_id")
        .fetch_all(&pool)
        .await
        .unwrap();
    let lost = expected.iter().filter(|run| runs.binary_search(run).is_err());
    assert_eq!(runs.len(), count, "lost: {:?}", lost.take(9).collect::<Vec<_>>());
    assert_eq!(runs.into_iter().collect::<BTreeSet<_>>(), expected);
    eprintln!("{injector}\n{count} triggers acknowledged, {repeated} calls repeated");
    stage.stop().await;
}

async fn create(stage: &Stage, number: usize) {
    let id = format!("job{number}");
    let parameters = Some(parameters("nobody"));
    let scheduled_job = Some(proto::ScheduledJob { parameters, ..job(&id) });
    let request =
        proto::CreateScheduledJobRequest { scheduled_job, request_id: id, validate_only: false };
    stage
        .call(|client| {
            let request = request.clone();
            async move { client.raw().create_scheduled_job(request).await.map(drop) }
        })
        .await;
}

/// Triggers until `stop`, one call after another. Returns the run of each request id, and the number of calls that
/// had to be repeated.
async fn trigger(
    stage: Arc<Stage>,
    lane: usize,
    stop: CancellationToken,
) -> (BTreeMap<String, String>, u32) {
    let (mut runs, mut repeated) = (BTreeMap::new(), 0);
    let connect = || Client::connect_lazy(&stage.server(0).address).unwrap();
    let mut client = connect();
    while !stop.is_cancelled() {
        let request = proto::TriggerJobRequest {
            job_id: format!("job{}", runs.len() % JOBS),
            request_id: format!("{lane}-{}", runs.len()),
            ..Default::default()
        };
        let begin = Instant::now();
        let run = loop {
            match timeout(CALL_TIMEOUT, client.raw().trigger_job(request.clone())).await {
                Ok(Ok(answer)) => break answer.job_id,
                failed => assert!(begin.elapsed() < PATIENCE, "no answer: {failed:?}"),
            }
            repeated += 1;
            sleep(Duration::from_millis(50)).await;
            client = connect();
        };
        runs.insert(request.request_id, run);
    }
    (runs, repeated)
}
