//! A million properties through one run of an `exec` source: rows per second and the server's memory,
//! compared with Postgres's COPY of the same rows in the same run. `.dev/bench` runs it.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark fails by a panic")]
#![expect(clippy::print_stdout, reason = "the figures")]

#[path = "../../server/tests/support/database.rs"]
mod database;
#[path = "program.rs"]
mod program;

use std::time::{Duration, Instant};

use futures::TryStreamExt;
use sqlx::{Connection, Executor, PgConnection};
use windrow_client::{Client, proto};

use self::program::Program;

const LOCATIONS: u32 = 100;
const ROWS_EACH: u32 = 10_000;
const ROWS: u32 = LOCATIONS * ROWS_EACH;
/// About 300 bytes a row, as a listing has.
const SETTINGS: &str = r#"
[sources.million]
kind = "exec"
command = ["awk", '''BEGIN { first = ENVIRON["WINDROW_LOCATION"] * 10000; for (i = first; i < first + 10000; i++) printf "{\"property_id\":\"%08d\",\"list_price\":%d,\"beds\":%d,\"baths\":%d,\"sqft\":%d,\"year_built\":%d,\"address\":\"%d Benchmark Street\",\"city\":\"Springfield\",\"state\":\"IN\",\"status\":\"Active\",\"description\":\"A house with walls, windows, a roof and a door, near other houses and a road.\"}\n", i, 100000 + i % 900000, i % 6, i % 4, 500 + i % 4000, 1900 + i % 120, i }''']
"#;

#[tokio::main]
async fn main() {
    let url = database::new_database().await;
    let server = Program::start(&url, SETTINGS);
    let client = Client::connect(&server.address).await.unwrap();
    let new = run(&client, &server, "new").await;
    let unchanged = run(&client, &server, "unchanged").await;
    let copied = copy(&url).await;
    println!("COPY into the same table: {} rows/s", per_second(copied));
    for (name, took) in [("new", new), ("unchanged", unchanged)] {
        let share = copied.as_secs_f64() / took.as_secs_f64() * 100.0;
        println!("{name}: {} rows/s, {share:.0} % of COPY", per_second(took));
    }
}

/// One run over all rows.
async fn run(client: &Client, server: &Program, name: &str) -> Duration {
    let parameters = proto::ScrapeParameters {
        locations: (0..LOCATIONS).map(|number| number.to_string()).collect(),
        request_delay: Some(prost_types::Duration::default()),
        source: Some("million".to_owned()),
        ..Default::default()
    };
    let made = client.submit_run(parameters).await.unwrap();
    let memory = || server.memory() / 1024;
    let begin = Instant::now();
    let mut states = client.watch(&made.job_id).states();
    let (mut told, mut highest) = (0, 0);
    let mut last = made;
    while let Some(state) = states.try_next().await.unwrap() {
        highest = memory().max(highest);
        if state.properties_scraped >= told {
            println!("{name}: {} rows, server at {} MiB", state.properties_scraped, memory());
            told += i64::from(ROWS / 5);
        }
        last = state;
    }
    let took = begin.elapsed();
    assert_eq!(last.properties_scraped, i64::from(ROWS), "{last:#?}");
    println!("{name}: the server had at most {highest} MiB");
    took
}

/// The rows of `property` through COPY into a table with the same columns and indexes.
async fn copy(url: &str) -> Duration {
    let mut conn = PgConnection::connect(url).await.unwrap();
    conn.execute("create table copied (like property including all)").await.unwrap();
    let mut rows = Vec::new();
    {
        let mut out = conn.copy_out_raw("copy property to stdout").await.unwrap();
        while let Some(bytes) = out.try_next().await.unwrap() {
            rows.push(bytes);
        }
    }
    let begin = Instant::now();
    let mut into = conn.copy_in_raw("copy copied from stdin").await.unwrap();
    for chunk in rows.chunks(1_000) {
        into.send(chunk.concat()).await.unwrap();
    }
    assert_eq!(into.finish().await.unwrap(), u64::from(ROWS));
    begin.elapsed()
}

fn per_second(took: Duration) -> u64 {
    u64::try_from(u128::from(ROWS) * 1_000 / took.as_millis().max(1)).unwrap()
}
