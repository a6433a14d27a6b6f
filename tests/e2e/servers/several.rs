//! Several servers on one database; one of them is killed or suspended.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sqlx::{PgPool, Row};
use windrow_client::{Client, proto};
use windrow_server::clock::SystemClock;

use crate::support::database::new_database;
use crate::support::program::Program;
use crate::support::{eventually, job, parameters, wait_for};
use proto::ScrapingJobStatus as Status;

/// Jobs whose runs take long enough to be interrupted by the kill.
const JOBS: [&str; 4] = ["a", "b", "c", "d"];
/// Jobs that are due at the same instants, so that the servers decide at the same time: one pass takes
/// longer than the difference of their clocks.
const CROWD: usize = 100;
/// Seconds between two ticks of a job.
const TICK: i64 = 7;
/// A run takes 5 s. Neither server can execute all four jobs at once, so both have to work.
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

#[tokio::test]
async fn a_killed_server_loses_no_tick_duplicates_none_and_leaves_no_run_stuck() {
    let url = new_database().await;
    let start = || Program::start(&["--database-url", &url], SETTINGS, &[]);
    let (mut first, second) = (start(), start());
    let client = Client::connect(&second.address).await.unwrap();
    let crowd: Vec<String> = (0..CROWD).map(|number| format!("crowd{number}")).collect();
    for id in &crowd {
        create(&client, id, "quick").await;
    }
    for id in JOBS {
        create(&client, id, "five_seconds").await;
    }
    let pool = PgPool::connect(&url).await.unwrap();
    wait_until_every_job_has_fired(&pool).await;
    wait_until_executing(&client, &first).await;

    first.process.kill();

    let killed_at = SystemClock::uncorrected().timestamp();
    let ids: Vec<&str> = JOBS.into_iter().chain(crowd.iter().map(String::as_str)).collect();
    for id in &ids {
        wait_for_tick_after(&client, id, killed_at).await;
        client.deactivate_job(*id).await.unwrap();
    }
    for id in ids {
        let runs = ended_runs(&client, id).await;
        assert!(runs.iter().all(|run| run.status() == Status::Completed), "{runs:#?}");
        assert_each_tick_is_decided_once(&pool, id, &runs).await;
    }
    assert_eq!(second.process.terminate(), Some(0));
}

#[tokio::test]
async fn a_server_that_was_suspended_beyond_its_lease_changes_nothing() {
    let url = new_database().await;
    let start = || Program::start(&["--database-url", &url], SETTINGS, &[]);
    let first = start();
    let client = Client::connect(&first.address).await.unwrap();
    create(&client, "sleeper", "fails_at_first").await;
    let run = client.trigger_job("sleeper").await.unwrap().job_id;
    wait_for(&mut client.watch(&run).states(), Status::Running).await;
    let second = start();
    let client = Client::connect(&second.address).await.unwrap();
    let mut states = client.watch(&run).from_start().states();

    first.process.signal("STOP");
    while wait_for(&mut states, Status::Running).await.attempt < 2 {}
    // Now it reports attempt 1.
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
    let job = proto::ScheduledJob {
        cron_expression: format!("@every {TICK}s"),
        parameters: Some(parameters(source)),
        ..job(id)
    };
    client.create_job(job).await.unwrap();
}

async fn wait_until_every_job_has_fired(pool: &PgPool) {
    let jobs = i64::try_from(JOBS.len() + CROWD).unwrap();
    let fired = "select count(distinct scheduled_job_id) from tick where decision = 'fired'";
    eventually("every job has fired", async || {
        let count: i64 = sqlx::query_scalar(fired).fetch_one(pool).await.unwrap();
        if count == jobs { Ok(()) } else { Err(count) }
    })
    .await;
}

/// Waits until the server executes a run, or killing it would prove nothing.
async fn wait_until_executing(client: &Client, server: &Program) {
    let part = format!("-{}-", server.process.id());
    eventually("the server executes a run", async || {
        let runs = client.list_runs().status(Status::Running).await.unwrap().scraping_jobs;
        let workers: Vec<String> = runs.into_iter().map(|run| run.worker_id).collect();
        if workers.iter().any(|worker| worker.contains(&part)) { Ok(()) } else { Err(workers) }
    })
    .await;
}

/// Waits until the job has a run of a later tick.
async fn wait_for_tick_after(client: &Client, id: &str, seconds: i64) {
    eventually(&format!("the other server decides a tick of {id}"), async || {
        let runs = get(client, id).await.job_runs;
        let is_later = |run: &proto::ScrapingJob| run.tick_at.is_some_and(|t| t.seconds > seconds);
        if runs.iter().any(is_later) { Ok(()) } else { Err(runs) }
    })
    .await;
}

async fn get(client: &Client, id: &str) -> proto::GetScheduledJobResponse {
    let request =
        proto::GetScheduledJobRequest { scheduled_job_id: id.to_owned(), ..Default::default() };
    client.raw().get_scheduled_job(request).await.unwrap()
}

/// The job's runs once they have all ended.
async fn ended_runs(client: &Client, id: &str) -> Vec<proto::ScrapingJob> {
    eventually(&format!("all runs of {id} end"), async || {
        let detail = get(client, id).await;
        if detail.job_runs.iter().any(|run| run.completed_at.is_none()) {
            return Err(detail.job_runs);
        }
        let count = i64::try_from(detail.job_runs.len()).unwrap();
        assert_eq!(detail.scheduled_job.unwrap().run_count, count, "history of {id}");
        Ok(detail.job_runs)
    })
    .await
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
