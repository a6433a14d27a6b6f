//! Server and database are killed between the batches of a run: counts and table match the input.

use std::path::Path;
use std::process::Command;

use futures::TryStreamExt;
use windrow_client::{Client, proto};

use crate::support::program::{Program, open_to_all};
use crate::support::{eventually, job, parameters};
use proto::ScrapingJobStatus as Status;

/// Rows per location: enough batches for two kills in between.
const ROWS: i64 = 10_000;
/// A batch of 500 takes a quarter of a second, so that a kill hits a run in progress.
const SETTINGS: &str = r#"
lease = "3s"
heartbeat = "1s"

[sources.steady]
kind = "exec"
command = ["awk", '''BEGIN { for (i = 1; i <= 10000; i++) { printf "{\"property_id\": \"%05d\", \"n\": %d}\n", i, i; if (i % 500 == 0) { fflush(); system("sleep 0.25") } } }''']
"#;

#[tokio::test]
async fn killing_server_and_database_loses_no_row_and_counts_none_twice() {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    open_to_all(dir.path());
    let data = dir.path().join("data");
    let start = || Program::start(&["--data-dir", data.to_str().unwrap()], SETTINGS, &[]);
    let mut first = start();
    let client = Client::connect(&first.address).await.unwrap();
    let job = proto::ScheduledJob {
        parameters: Some(proto::ScrapeParameters {
            // Both locations have the same properties: those of the second are duplicates.
            locations: vec!["one".to_owned(), "two".to_owned()],
            request_delay: Some(prost_types::Duration::default()),
            ..parameters("steady")
        }),
        policy: Some(proto::RunPolicy { max_attempts: Some(9), ..Default::default() }),
        ..job("job")
    };
    client.create_job(job).await.unwrap();
    let run = client.trigger_job("job").await.unwrap().job_id;

    wait_for_rows(&client, &run, 1_000).await;
    kill_postgres(&data);
    wait_for_rows(&client, &run, 4_000).await;
    first.process.kill();

    let second = start();
    let client = Client::connect(&second.address).await.unwrap();
    let states: Vec<_> = client.watch(&run).from_start().states().try_collect().await.unwrap();
    let end = states.last().unwrap();
    // On a busy machine Postgres may restart later than the first lease expires.
    assert_eq!(end.status(), Status::Completed, "{end:#?}");
    assert!(end.attempt >= 2, "{end:#?}");
    assert!(states.windows(2).all(|pair| pair[0].revision < pair[1].revision));
    // Rows that an earlier attempt saved count once.
    assert_eq!((end.properties_inserted, end.properties_updated), (ROWS, 0));
    assert_eq!(end.properties_skipped, 0);
    assert_eq!(end.properties_scraped, end.properties_saved + end.properties_duplicate);
    assert!(end.properties_scraped > 2 * ROWS, "the second attempt reads all again: {end:#?}");
    let filter = proto::PropertyFilter { job_id: run.clone(), ..Default::default() };
    let stored: Vec<proto::Property> =
        client.export_properties().filter(filter).stream().try_collect().await.unwrap();
    let expected: Vec<String> = (1..=ROWS).map(|n| format!("{n:05}")).collect();
    assert_eq!(stored.iter().map(|p| p.property_id.clone()).collect::<Vec<_>>(), expected);
    assert!(stored.iter().all(|property| property.last_job_id == run));
    assert_eq!(second.process.terminate(), Some(0));
}

async fn wait_for_rows(client: &Client, run: &str, rows: i64) {
    eventually(&format!("the run reads {rows} rows"), async || {
        // The database may be down.
        let run = client.get_run(run).await.map_err(|error| error.to_string())?;
        assert_eq!(run.completed_at, None, "the run ended before the kill: {run:#?}");
        let read = run.properties_scraped;
        if read < rows { Err(format!("{read} rows")) } else { Ok(()) }
    })
    .await;
}

fn kill_postgres(data: &Path) {
    let pid = std::fs::read_to_string(data.join("postgres/postmaster.pid")).unwrap();
    let killed = Command::new("kill").args(["-9", pid.lines().next().unwrap()]).status().unwrap();
    assert!(killed.success());
}
