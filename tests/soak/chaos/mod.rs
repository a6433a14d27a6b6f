//! Workers in two languages and two servers under kill -9, SIGSTOP and bad lines: every run ends once,
//! and what a lost lease says counts for nothing.
//!
//! `WINDROW_CHAOS_SECONDS` makes it longer, `WINDROW_CHAOS_SEED` repeats the faults of another run. Five
//! minutes, with the figures:
//!
//!     WINDROW_CHAOS_SECONDS=300 .dev/test --test e2e chaos -- --nocapture

mod faults;
mod promises;
mod stage;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sqlx::PgPool;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use windrow_client::{Client, Code, proto};

use self::stage::Stage;
use crate::support::database::new_database;
use crate::support::program::Program;
use crate::support::{PATIENCE, job, parameters, python};

const LEASE: Duration = Duration::from_secs(4);
const ROWS: u32 = 30;
const LOCATIONS: [&str; 3] = ["one", "two", "three"];
const SECONDS: u64 = 25;
const PACE: Duration = Duration::from_millis(350);
/// The source `local` is the servers' own: a stopped server is a worker without a lease too.
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
async fn every_run_ends_once_and_a_lost_lease_counts_for_nothing() {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seed = number("WINDROW_CHAOS_SEED").unwrap_or_else(rand::random);
    let length = Duration::from_secs(number("WINDROW_CHAOS_SECONDS").unwrap_or(SECONDS));
    eprintln!("WINDROW_CHAOS_SEED={seed}");
    tokio::task::spawn_blocking(python::install).await.unwrap();
    let url = new_database().await;
    let pool = PgPool::connect(&url).await.unwrap();
    let stage = Arc::new(Stage::new(&url).await);
    create_jobs(&stage.addresses()[0]).await;

    let (no_more, settled) = (CancellationToken::new(), CancellationToken::new());
    let silence = tokio::spawn(promises::longest_silence(pool.clone(), settled.clone()));
    let (haunted, quiet) = (Arc::clone(&stage), no_more.clone());
    let late = tokio::spawn(async move { worker::send_stale_calls(&haunted, quiet).await });
    let users = tokio::spawn(trigger(Arc::clone(&stage), seed, no_more.clone()));
    let struck = faults::inject_faults(&stage, seed, length).await;
    no_more.cancel();
    let (late, asked) = (late.await.unwrap(), users.await.unwrap());
    promises::wait_for_the_end(&pool).await;
    settled.cancel();
    let silence = silence.await.unwrap();
    let lost = promises::lost_leases(&pool).await;
    let figures = promises::figures(&pool).await;
    eprintln!(
        "{struck}\n{figures}\n{lost} leases lost, no run running for more than {silence:.1?} without a \
         word of its worker\n{} late calls refused, {} taken as nobody had the run yet",
        late.refused, late.accepted
    );

    promises::check(&pool).await;
    let made: i64 =
        sqlx::query_scalar("select count(*) from scraping_job").fetch_one(&pool).await.unwrap();
    assert_eq!(made, asked, "one run for each trigger, however often it was sent");
    assert!(lost > 0 && late.refused > 0, "nothing was put to the test");
}

/// A promise that cannot be seen broken is none.
#[tokio::test]
async fn what_the_promises_are_looked_at_with_notices_each_that_is_broken() {
    let url = new_database().await;
    let pool = PgPool::connect(&url).await.unwrap();
    let server = Program::start(&["--database-url", &url], SETTINGS, &[]);
    create_jobs(&server.address).await;
    let client = Client::connect(&server.address).await.unwrap();
    let request = proto::TriggerJobRequest { job_id: "local".to_owned(), ..Default::default() };
    client.trigger_job(request).await.unwrap();
    promises::wait_for_the_end(&pool).await;
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
        client.create_scheduled_job(request).await.unwrap();
    }
}

/// Triggers runs until `stop` and cancels some of them; how many were asked for.
async fn trigger(stage: Arc<Stage>, seed: u64, stop: CancellationToken) -> i64 {
    let mut random = StdRng::seed_from_u64(seed.wrapping_add(1));
    let mut cancelling = JoinSet::new();
    let mut asked = 0;
    while !stop.is_cancelled() {
        // Most by the Rust workers, which cost least.
        let job = ["rust", "rust", "local", "python"][random.random_range(0..4)];
        let request = proto::TriggerJobRequest {
            job_id: job.to_owned(),
            request_id: format!("{asked}"),
            ..Default::default()
        };
        let run = until_answered(&stage, |client| {
            let request = request.clone();
            async move { client.trigger_job(request).await }
        })
        .await
        .job_id;
        asked += 1;
        if random.random_range(0..6) == 0 {
            let (stage, pause) = (Arc::clone(&stage), random.random_range(0..4_000));
            cancelling.spawn(async move {
                sleep(Duration::from_millis(pause)).await;
                cancel(&stage, &run).await;
            });
        }
        sleep(PACE).await;
    }
    while let Some(ended) = cancelling.join_next().await {
        ended.unwrap();
    }
    asked
}

async fn cancel(stage: &Stage, run: &str) {
    until_answered(stage, |client| async move {
        let request = proto::CancelScrapingJobRequest { job_id: run.to_owned() };
        match client.cancel_scraping_job(request).await {
            // The run has ended.
            Err(error) if error.code() == Code::FailedPrecondition => Ok(()),
            other => other.map(drop),
        }
    })
    .await;
}

/// Calls one server after the other: one of them may be stopped or gone.
async fn until_answered<T, F>(stage: &Stage, call: impl Fn(Client) -> F) -> T
where
    F: Future<Output = Result<T, windrow_client::Error>>,
{
    let begin = Instant::now();
    let mut seen = String::new();
    while begin.elapsed() < PATIENCE {
        for address in stage.addresses() {
            let client = Client::connect_lazy(&address).unwrap();
            match timeout(Duration::from_secs(3), call(client)).await {
                Ok(Ok(answer)) => return answer,
                Ok(Err(error)) => seen = error.to_string(),
                Err(late) => seen = late.to_string(),
            }
        }
    }
    panic!("no server answers: {seen}");
}
