//! Several servers on one database, and one of them killed.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use sqlx::{PgPool, Row};
use windrow_client::{Client, proto};
use windrow_server::clock::SystemClock;

use crate::support::database::new_database;
use crate::support::program::Program;
use crate::support::{PATIENCE, job, parameters, wait_for};
use proto::ScrapingJobStatus as Status;

/// Jobs whose runs take long enough to be cut off by the kill.
const JOBS: [&str; 4] = ["a", "b", "c", "d"];
/// Jobs that are due at the same instants, so that the servers decide at the same time: a pass over
/// them takes longer than their clocks differ.
const CROWD: usize = 100;
/// Between two ticks of a job.
const TICK: i64 = 7;
/// A run takes 5 s. Neither server has room for all four jobs, so both have to work.
const SETTINGS: &str = r#"
lease = "3s"
heartbeat = "1s"
max_concurrent_runs = 3

[sources.quick]
kind = "sample"
listings_per_location = 1

[sources.five_seconds]
kind = "exec"
command = ["sh", "-c", "sleep 5; echo '{\"property_id\": \"1\"}'"]

[sources.fails_at_first]
kind = "exec"
command = ["sh", "-c", "sleep 5; test $WINDROW_ATTEMPT = 2 && echo '{\"property_id\": \"1\"}'"]
"#;
/// How long jobs are due before the kill.
const BEFORE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_killed_server_loses_no_tick_doubles_none_and_leaves_nothing_stuck() {
    let url = new_database().await;
    let start = || {
        let tick = TICK.to_string();
        let environment = [("WINDROW_TEST_TICK_SECONDS", tick.as_str())];
        Program::start(&["--database-url", &url], SETTINGS, &environment)
    };
    let (mut first, second) = (start(), start());
    let client = Client::connect(&second.address).await.unwrap();
    let crowd: Vec<String> = (0..CROWD).map(|number| format!("crowd{number}")).collect();
    for id in &crowd {
        create(&client, id, "quick").await;
    }
    for id in JOBS {
        create(&client, id, "five_seconds").await;
    }
    tokio::time::sleep(BEFORE).await;
    assert_executes(&client, &first).await;

    first.process.kill();

    let killed_at = SystemClock::uncorrected().timestamp();
    let ids: Vec<&str> = JOBS.into_iter().chain(crowd.iter().map(String::as_str)).collect();
    for id in &ids {
        wait_for_tick_after(&client, id, killed_at).await;
        let request = proto::DeactivateScheduledJobRequest { scheduled_job_id: (*id).to_owned() };
        client.deactivate_scheduled_job(request).await.unwrap();
    }
    let pool = PgPool::connect(&url).await.unwrap();
    for id in ids {
        let runs = ended_runs(&client, id).await;
        assert!(runs.iter().all(|run| run.status() == Status::Completed), "{runs:#?}");
        assert_each_tick_is_decided_once(&pool, id, &runs).await;
    }
    assert_eq!(second.process.terminate(), Some(0));
}

#[tokio::test]
async fn a_server_that_slept_through_its_lease_changes_nothing() {
    let url = new_database().await;
    let start = || Program::start(&["--database-url", &url], SETTINGS, &[]);
    let first = start();
    let client = Client::connect(&first.address).await.unwrap();
    create(&client, "sleeper", "fails_at_first").await;
    let request = proto::TriggerJobRequest { job_id: "sleeper".to_owned(), ..Default::default() };
    let run = client.trigger_job(request).await.unwrap().job_id;
    wait_for(&mut client.watch(&run), Status::Running).await;
    let second = start();
    let client = Client::connect(&second.address).await.unwrap();
    let mut states = client.watch_from(&run, 0);

    first.process.signal("STOP");
    while wait_for(&mut states, Status::Running).await.attempt < 2 {}
    // What it has to say of attempt 1, it says now.
    first.process.signal("CONT");

    let end = wait_for(&mut states, Status::Completed).await;
    assert_eq!((end.attempt, end.properties_scraped), (2, 1), "{end:#?}");
    let detail = get(&client, "sleeper").await;
    assert_eq!(detail.scheduled_job.unwrap().run_count, 1);
    for server in [first, second] {
        assert_eq!(server.process.terminate(), Some(0));
    }
}

async fn create(client: &Client, id: &str, source: &str) {
    let scheduled_job =
        Some(proto::ScheduledJob { parameters: Some(parameters(source)), ..job(id) });
    let request = proto::CreateScheduledJobRequest { scheduled_job, ..Default::default() };
    client.create_scheduled_job(request).await.unwrap();
}

/// Waits until the server has a run in hand, or killing it would show nothing.
async fn assert_executes(client: &Client, server: &Program) {
    let id = server.process.id().to_string();
    let begin = Instant::now();
    let request =
        proto::ListScrapingJobsRequest { status: Status::Running.into(), ..Default::default() };
    while begin.elapsed() < PATIENCE {
        let runs = client.list_scraping_jobs(request.clone()).await.unwrap().scraping_jobs;
        if runs.iter().any(|run| run.worker_id.contains(&format!("-{id}-"))) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the server executes nothing");
}

/// Waits until the job has a run of a later tick.
async fn wait_for_tick_after(client: &Client, id: &str, seconds: i64) {
    let begin = Instant::now();
    loop {
        let runs = get(client, id).await.job_runs;
        if runs.iter().any(|run| run.tick_at.is_some_and(|tick| tick.seconds > seconds)) {
            return;
        }
        assert!(begin.elapsed() < PATIENCE, "{id} is not scheduled any more: {runs:#?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn get(client: &Client, id: &str) -> proto::GetScheduledJobResponse {
    let request =
        proto::GetScheduledJobRequest { scheduled_job_id: id.to_owned(), ..Default::default() };
    client.get_scheduled_job(request).await.unwrap()
}

/// The job's runs once they have all ended.
async fn ended_runs(client: &Client, id: &str) -> Vec<proto::ScrapingJob> {
    let request =
        proto::GetScheduledJobRequest { scheduled_job_id: id.to_owned(), ..Default::default() };
    let begin = Instant::now();
    loop {
        let detail = client.get_scheduled_job(request.clone()).await.unwrap();
        let count = i64::try_from(detail.job_runs.len()).unwrap();
        if detail.job_runs.iter().all(|run| run.completed_at.is_some()) {
            assert_eq!(detail.scheduled_job.unwrap().run_count, count, "history of {id}");
            return detail.job_runs;
        }
        assert!(begin.elapsed() < PATIENCE, "stuck: {:#?}", detail.job_runs);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn assert_each_tick_is_decided_once(pool: &PgPool, id: &str, runs: &[proto::ScrapingJob]) {
    let run_ticks: Vec<i64> = runs.iter().map(|run| run.tick_at.unwrap().seconds).collect();
    let distinct: BTreeSet<i64> = run_ticks.iter().copied().collect();
    assert_eq!(distinct.len(), run_ticks.len(), "two runs of one tick: {run_ticks:?}");
    let rows = sqlx::query(
        "select tick_at, count, decision, job_id from tick where scheduled_job_id = $1
         and decision <> 'paused' order by tick_at",
    )
    .bind(id)
    .fetch_all(pool)
    .await
    .unwrap();
    let mut due = None;
    let mut fired = BTreeSet::new();
    for row in rows {
        let tick = row.get::<DateTime<Utc>, _>("tick_at").timestamp();
        assert_eq!(tick, due.unwrap_or(tick), "a tick of {id} is undecided");
        due = Some(tick + TICK * row.get::<i64, _>("count"));
        if row.get::<&str, _>("decision") == "fired" {
            fired.insert(tick);
        }
    }
    assert_eq!(fired, distinct, "fired ticks and runs of {id} differ");
}
