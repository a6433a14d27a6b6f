//! Growth: the time of calls, the cost of waiting and the size on disk with ten thousand, a million and ten million
//! runs of up to 100,000 active jobs. `.dev/bench --bench growth` runs it.
//!
//! It also verifies that the table has the runs that were made, and that each list finds those that match.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark fails by a panic")]
#![expect(clippy::print_stdout, reason = "the figures")]

#[path = "../../../server/tests/support/database.rs"]
mod database;
#[path = "../figures.rs"]
#[expect(dead_code, reason = "other benchmarks print each figure beside the unit")]
mod figures;
#[path = "../program.rs"]
mod program;
#[path = "../setting.rs"]
mod setting;

mod calls;
mod copy;
mod fill;
mod jobs;
mod measure;
mod processor;
mod report;

use std::time::Duration;

use sqlx::{Connection, PgConnection};

use self::fill::{Filling, RUNS_PER_JOB};
use self::measure::Measured;
use self::processor::Processes;
use self::program::Program;
use self::setting::setting;

const SETTINGS: &str = r#"
[sources.source-0]
kind = "worker"
[sources.source-1]
kind = "worker"
[sources.source-2]
kind = "worker"
[sources.source-3]
kind = "worker"
"#;
/// Sizes are multiples of it, so that every share of the runs is a whole number.
const SIZE_UNIT: i64 = 1_000;

#[tokio::main]
async fn main() {
    let sizes = sizes(&setting("WINDROW_BENCH_RUNS", "10000,1000000,10000000".to_owned()));
    let jobs = setting("WINDROW_BENCH_JOBS", 100_000);
    let url = database::new_database().await;
    let mut conn = PgConnection::connect(&url).await.unwrap();
    jobs::create(&Program::start(&url, SETTINGS), &mut conn, jobs).await;
    let empty = bytes(&mut conn).await;
    let mut filling = Filling::start(&url).await;
    let mut measured = Vec::new();
    for runs in sizes {
        assert!(runs <= jobs * RUNS_PER_JOB, "{runs} runs of {jobs} jobs");
        filling.grow(runs).await;
        let size = bytes(&mut conn).await - empty;
        let server = Program::start(&url, SETTINGS);
        let idle = idle(&server, &mut conn).await;
        let figures = measure::measure(&url, &server.address, runs).await;
        let memory = server.memory() / 1_024;
        verify(&mut conn, runs, measured.len() + 1).await;
        measured.push(Measured { runs, figures, idle, bytes_per_run: size / runs, memory });
    }
    report::print(&measured, jobs);
}

fn sizes(text: &str) -> Vec<i64> {
    let sizes: Vec<i64> = text.split(',').map(|size| size.parse().expect(text)).collect();
    let is_valid = sizes.is_sorted() && sizes.iter().all(|runs| runs % SIZE_UNIT == 0);
    assert!(is_valid, "{text} are not ascending multiples of {SIZE_UNIT}");
    sizes
}

async fn bytes(conn: &mut PgConnection) -> i64 {
    let size = "select pg_database_size(current_database())";
    sqlx::query_scalar(size).fetch_one(conn).await.unwrap()
}

/// Shares of a core that the server and Postgres take while no job is due and nobody calls.
async fn idle(server: &Program, conn: &mut PgConnection) -> [f64; 2] {
    let seconds = setting("WINDROW_BENCH_SECONDS", 20);
    let processes = Processes::of(server, conn).await;
    // The first seconds are the start's.
    tokio::time::sleep(Duration::from_secs(seconds / 4)).await;
    processes.shares(Duration::from_secs(seconds)).await
}

/// Every run that was made is in the table: the filled ones, the templates and the triggered ones.
async fn verify(conn: &mut PgConnection, filled: i64, sizes: usize) {
    let triggered = sizes * measure::calls();
    let count = "select count(*) from scraping_job";
    let count: i64 = sqlx::query_scalar(count).fetch_one(&mut *conn).await.unwrap();
    let triggered = i64::try_from(triggered).unwrap();
    assert_eq!(count, filled + jobs::TEMPLATES + triggered, "runs in the table");
    let waiting = "select count(*) from unfinished_run";
    let waiting: i64 = sqlx::query_scalar(waiting).fetch_one(conn).await.unwrap();
    assert_eq!(waiting, 0, "every triggered run has ended");
}
