//! Statistics of 30 days with one run per minute, of a job without older runs and of one with a million.
//! `.dev/bench --bench statistics` runs it.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark fails by a panic")]
#![expect(clippy::print_stdout, reason = "the figures")]

#[path = "../../server/tests/support/database.rs"]
mod database;

use std::time::{Duration, Instant};

use sqlx::{Connection, Executor, PgConnection};
use windrow_client::{Client, proto};
use windrow_server::Server;
use windrow_server::config::{Config, Database};

/// Runs a minute apart; 43,200 are 30 days.
const HISTORIES: [(&str, i32); 2] = [("month", 43_200), ("million", 1_000_000)];
const CALLS: usize = 21;

#[tokio::main]
async fn main() {
    let url = database::new_database().await;
    let config = Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        ..Config::new(Database::Url(url.clone()))
    };
    let running = Server::start(config).await.unwrap();
    let client = Client::connect(&running.addr().to_string()).await.unwrap();
    let mut conn = PgConnection::connect(&url).await.unwrap();
    for (id, runs) in HISTORIES {
        create(&client, id).await;
        fill(&mut conn, id, runs).await;
    }
    conn.execute("vacuum analyze scraping_job").await.unwrap();
    let mut medians = Vec::new();
    for (id, runs) in HISTORIES {
        let median = median(&client, id).await;
        println!(
            "{runs} runs: {:.1} ms for the last 30 days (median of {CALLS})",
            median.as_secs_f64() * 1e3
        );
        medians.push(median.as_secs_f64());
    }
    if let [month, million] = medians[..] {
        println!("the longer history takes {:.2} times as long", million / month);
    }
    running.stop().await;
}

async fn create(client: &Client, id: &str) {
    let job = proto::ScheduledJob {
        scheduled_job_id: id.to_owned(),
        name: id.to_owned(),
        cron_expression: "0 0 1 1 *".to_owned(),
        parameters: Some(proto::ScrapeParameters {
            locations: vec!["46201".to_owned()],
            source: Some("sample".to_owned()),
            ..Default::default()
        }),
        ..Default::default()
    };
    client.create_job(job).await.unwrap();
}

/// Ended runs, a minute apart, the last one a minute ago.
async fn fill(conn: &mut PgConnection, id: &str, runs: i32) {
    sqlx::query(
        "insert into scraping_job (
             job_id, scheduled_job_id, origin, status, priority, rank_at, parameters, requested_by,
             labels, tick_at, created_at, available_at, started_at, completed_at,
             properties_scraped, properties_saved, properties_updated, properties_skipped,
             properties_duplicate, total_locations, completed_locations, failed_locations, attempt,
             max_attempts, error_message, revision, policy, done_locations, attempt_started_at
         )
         select
             $1 || '_' || number, $1, 'scheduled',
             case when number % 20 = 0 then 'failed' else 'completed' end, 'normal', at,
             '{\"locations\": [\"46201\"], \"source\": \"sample\"}', '', '{}', at, at, at, at,
             at + (number % 50) * interval '1 s', 100, 50, 0, 50, 0, 1, 1, '[]', 1, 3, '', 3,
             '{}', '[0]', at
         from (
             select number, now() - number * interval '1 minute' as at
             from generate_series(1, $2) number
         ) made",
    )
    .bind(id)
    .bind(runs)
    .execute(conn)
    .await
    .unwrap();
}

async fn median(client: &Client, id: &str) -> Duration {
    let mut took = Vec::new();
    for _ in 0..CALLS {
        let begin = Instant::now();
        let stats = client.job_stats(id).await.unwrap();
        took.push(begin.elapsed());
        assert!((43_000..=43_200).contains(&(stats.completed_runs + stats.failed_runs)));
    }
    took.sort();
    took.get(CALLS / 2).copied().unwrap_or_default()
}
