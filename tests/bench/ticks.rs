//! Delay from a tick to the commit of its run when many jobs are due at the same instant. `.dev/bench --bench ticks`
//! runs it; it waits for whole minutes.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark fails by a panic")]
#![expect(clippy::print_stdout, reason = "what it measured")]

#[path = "../../server/tests/support/database.rs"]
mod database;

use std::time::{Duration, Instant};

use chrono::{DateTime, DurationRound, TimeDelta, Timelike, Utc};
use sqlx::{Connection, Executor, PgConnection};
use tokio::time::sleep;
use windrow_client::{Client, proto};
use windrow_server::Server;
use windrow_server::clock::SystemClock;
use windrow_server::config::{Config, Database};
use windrow_server::sources::{SourceSettings, WorkerSettings};

/// Jobs that are due at one instant. The first are the first of their server, whose connections know no statements
/// yet.
const CROWDS: [(&str, i32); 3] = [("first", 1_000), ("later", 1_000), ("many", 10_000)];
/// Source of the runs. It has no workers, so that none of them is executed meanwhile.
const SOURCE: &str = "unserved";
/// Limit for one instant.
const PATIENCE: TimeDelta = TimeDelta::minutes(2);

#[tokio::main]
async fn main() {
    let url = database::new_database().await;
    let mut conn = PgConnection::connect(&url).await.unwrap();
    let running = start(&url).await;
    create(&running.addr().to_string()).await;
    for (crowd, jobs) in CROWDS {
        lateness(&mut conn, crowd, jobs).await;
    }
    running.stop().await;
}

/// Every job makes one run at the next whole minute.
async fn lateness(conn: &mut PgConnection, crowd: &str, jobs: i32) {
    let tick = SystemClock::uncorrected().duration_trunc(TimeDelta::minutes(1)).unwrap()
        + TimeDelta::minutes(1);
    // Time enough to make the jobs.
    let soon = tick - SystemClock::uncorrected() < TimeDelta::seconds(15);
    let tick = if soon { tick + TimeDelta::minutes(1) } else { tick };
    multiply(conn, crowd, jobs, tick).await;
    let seen = watch(conn, jobs, tick).await;
    let at = |part: f64| {
        let wanted = part * f64::from(jobs);
        seen.iter().find(|(_, count)| *count >= wanted).map_or(f64::NAN, |(late, _)| *late)
    };
    let (p50, p99, last) = (at(0.5), at(0.99), at(1.0));
    let alone = insertion(conn, jobs).await;
    println!(
        "{crowd}: {jobs} jobs due at one instant: p50 {:.0} ms, p99 {:.0} ms, last {:.0} ms from tick to commit; \
         {:.1} times as long as the bare insertion of as many rows in batches of 100 ({:.0} ms)",
        p50 * 1e3,
        p99 * 1e3,
        last * 1e3,
        last / alone.as_secs_f64(),
        alone.as_secs_f64() * 1e3
    );
}

async fn start(url: &str) -> windrow_server::Running {
    let mut config = Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        ..Config::new(Database::Url(url.to_owned()))
    };
    let source = SourceSettings::Worker(WorkerSettings::default());
    config.sources.insert(SOURCE.to_owned(), source);
    Server::start(config).await.unwrap()
}

async fn create(address: &str) {
    let client = Client::connect(address).await.unwrap();
    let job = proto::ScheduledJob {
        scheduled_job_id: "job".to_owned(),
        name: "Job".to_owned(),
        cron_expression: "0 0 1 1 *".to_owned(),
        parameters: Some(proto::ScrapeParameters {
            locations: vec!["46201".to_owned()],
            source: Some(SOURCE.to_owned()),
            ..Default::default()
        }),
        ..Default::default()
    };
    client.create_job(job).await.unwrap();
}

/// Copies the one job, each copy due next at `tick`.
async fn multiply(conn: &mut PgConnection, crowd: &str, jobs: i32, tick: DateTime<Utc>) {
    // Once an hour, so that only one crowd is due.
    let cron = format!("{} * * * *", tick.minute());
    let settings = "insert into scheduled_job
        select r.* from scheduled_job j, generate_series(1, $1) n,
            jsonb_populate_record(j, jsonb_build_object(
                'scheduled_job_id', $2 || n, 'cron_expression', $3)) r
        where j.scheduled_job_id = 'job'";
    sqlx::query(settings).bind(jobs).bind(crowd).bind(cron).execute(&mut *conn).await.unwrap();
    let schedules = "insert into scheduled_job_schedule (scheduled_job_id, status, pause_reason,
            updated_at, watermark, next_tick_at)
        select $3 || n, 'active', '', s.updated_at, $2 - interval '1 second', $2
        from scheduled_job_schedule s, generate_series(1, $1) n
        where s.scheduled_job_id = 'job'";
    sqlx::query(schedules).bind(jobs).bind(tick).bind(crowd).execute(&mut *conn).await.unwrap();
    let histories = "insert into scheduled_job_history (scheduled_job_id)
        select $2 || n from generate_series(1, $1) n";
    sqlx::query(histories).bind(jobs).bind(crowd).execute(&mut *conn).await.unwrap();
}

/// Looks how many runs are committed, so rarely that looking costs little: seconds after the tick, and the count.
async fn watch(conn: &mut PgConnection, jobs: i32, tick: DateTime<Utc>) -> Vec<(f64, f64)> {
    let mut seen = vec![(0.0, 0.0)];
    while seen.last().is_some_and(|(_, count)| *count < f64::from(jobs)) {
        let count: i32 = sqlx::query_scalar(
            "select count(*)::int from tick where tick_at = $1 and decision = 'fired'",
        )
        .bind(tick)
        .fetch_one(&mut *conn)
        .await
        .unwrap();
        let late = SystemClock::uncorrected() - tick;
        assert!(late < PATIENCE, "the ticks of {tick} are not decided");
        seen.push((late.as_seconds_f64(), f64::from(count)));
        sleep(Duration::from_millis(2) * jobs.unsigned_abs() / 1_000).await;
    }
    seen
}

/// Time to insert as many rows of the size of a run, 100 per transaction.
async fn insertion(conn: &mut PgConnection, jobs: i32) -> Duration {
    conn.execute("create table if not exists bare (id text primary key, run jsonb)").await.unwrap();
    conn.execute("truncate bare").await.unwrap();
    let begin = Instant::now();
    for batch in 0..jobs / 100 {
        sqlx::query(
            "insert into bare select n::text, to_jsonb(j)
             from generate_series($1 * 100, $1 * 100 + 99) n,
                 (select * from scraping_job limit 1) j",
        )
        .bind(batch)
        .execute(&mut *conn)
        .await
        .unwrap();
    }
    begin.elapsed()
}
