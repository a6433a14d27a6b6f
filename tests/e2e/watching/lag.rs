//! Watches that lag: a transaction holds the feed back, the client reads slowly, or the database is away.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::time::timeout;
use windrow_client::{Client, Code, TriggerJob, proto};

use crate::support::cluster::Cluster;
use crate::support::database::new_database;
use crate::support::program::Program;
use crate::support::proxy::{Line, Proxy, Upstream};
use crate::support::watching::{Feed, refusal, service};
use crate::support::{PATIENCE, Windrow, eventually, job, metric_of};
use proto::{ScrapingJobStatus as Status, WatchKind as Kind};

const SETTINGS: &str = r#"
metrics_listen = "127.0.0.1:0"

[sources.quick]
kind = "sample"
listings_per_location = 1
pace = "0s"
"#;
/// More than the buffer of a watch and its connection hold.
const RUNS: usize = 300;

#[tokio::test]
async fn a_transaction_that_holds_the_feed_back_is_logged_and_the_lag_is_reported() {
    // A cluster of its own, because this holds back the feeds of all databases of a cluster.
    let cluster = Cluster::start().await;
    let url = cluster.create("windrow");
    let mut forgotten = PgConnection::connect(&cluster.url("postgres")).await.unwrap();
    let server = Program::start(&["--database-url", &url], SETTINGS, &[]);
    let client = Client::connect(&server.address).await.unwrap();
    client.create_job(job("job")).await.unwrap();
    let mut feed = Feed::of(&server.address, "", "").await.unwrap();
    feed.sync().await;
    assert_eq!(metric(&server, "windrow_watches").await, "1");
    eventually("the feed has no lag", async || {
        let lag = metric(&server, "windrow_feed_lag_seconds").await;
        if lag == "0.0" { Ok(()) } else { Err(lag) }
    })
    .await;

    // In another database, and without a write: that it may write is enough.
    forgotten.execute("set application_name = 'forgotten'").await.unwrap();
    forgotten.execute("begin; select pg_current_xact_id()").await.unwrap();
    let run = client.trigger_job("job").await.unwrap().job_id;
    let watch = proto::WatchScrapingJobRequest { job_id: run.clone(), ..Default::default() };
    let mut states = service(&server.address).await.watch_scraping_job(watch).await.unwrap();

    let warning = server.log_line("Watches lag ").await;
    assert!(warning.contains("forgotten") && warning.contains("postgres"), "{warning}");
    // Only bookmarks may come.
    while feed.bookmark().await < Some(Duration::from_secs(5)) {}
    let lag: f64 = metric(&server, "windrow_feed_lag_seconds").await.parse().unwrap();
    assert!(lag > 5.0, "{lag}");
    // The events of one run have their own order, so its watch continues, with a delay.
    let mut last = None;
    while last != Some(Status::Completed) {
        let message = states.get_mut().message().await.unwrap().expect("the run has not ended");
        last = message.scraping_job.map(|run| run.status()).or(last);
    }

    forgotten.execute("commit").await.unwrap();
    assert_eq!(feed.next_run().await.job_id, run);
}

#[tokio::test]
async fn a_slow_watcher_misses_nothing_and_its_overflow_is_counted() {
    let windrow = Windrow::start_with(|config| {
        config.max_concurrent_runs = 8;
        config.metrics_listen = Some("127.0.0.1:0".parse().unwrap());
    })
    .await;
    let labels = (0..20).map(|number| (format!("label-{number}"), "x".repeat(60))).collect();
    windrow.create_as(proto::ScheduledJob { labels, ..job("job") }).await.unwrap();
    let mut feed = Feed::of(&windrow.address(), "", "").await.unwrap();
    feed.sync().await;
    for _ in 0..RUNS {
        windrow.trigger("job").await;
    }
    let metrics = windrow.metrics_address();
    eventually("the watch overflows its buffer", async || {
        let overflows = metric_of(&metrics, "windrow_watch_overflows_total").await;
        if overflows == "0" { Err(overflows) } else { Ok(()) }
    })
    .await;

    timeout(PATIENCE, read_to_the_end(&mut feed)).await.expect("a change is missing");
    windrow.stop().await;
}

#[tokio::test]
async fn a_server_without_its_database_ends_idle_watches() {
    let url = new_database().await;
    let line = Proxy::start_to(Upstream::database(&url)).await;
    let windrow = Windrow::start_on(&line.database_url(&url), |_| {}).await;
    windrow.create("job").await;
    let mut feed = Feed::of(&windrow.address(), "", "").await.unwrap();
    feed.sync().await;

    line.set(Line::Frozen);
    let end = async {
        loop {
            match feed.message().await {
                Ok((kind, _)) => assert_eq!(kind, Kind::Bookmark),
                Err(end) => return end,
            }
        }
    };
    let end = timeout(PATIENCE, end).await.expect("only bookmarks arrive");
    assert_eq!(refusal(&end), (Code::Unavailable, "DATABASE_UNAVAILABLE".to_owned()));
    line.set(Line::Clear);

    let request: proto::TriggerJobRequest = TriggerJob::new("job").request_id("once").into();
    let trigger = async || windrow.trigger_as(request.clone()).await;
    let run = eventually("the server reaches its database again", trigger).await.job_id;
    let mut feed = Feed::of(&windrow.address(), "", &feed.token).await.unwrap();
    assert_eq!(feed.next_run().await.job_id, run);
    windrow.stop().await;
}

/// Reads until each run was seen with each status.
async fn read_to_the_end(feed: &mut Feed) {
    let mut statuses = HashMap::<String, Vec<Status>>::new();
    let all = [Status::Pending, Status::Running, Status::Completed];
    while statuses.values().filter(|seen| **seen == all).count() < RUNS {
        let run = feed.next_run().await;
        let seen = statuses.entry(run.job_id.clone()).or_default();
        if seen.last() != Some(&run.status()) {
            seen.push(run.status());
        }
    }
}

async fn metric(server: &Program, name: &str) -> String {
    let line = server.log_line("Serving metrics on ").await;
    let address = line.split_once("http://").unwrap().1.split_once('/').unwrap().0;
    metric_of(address, name).await
}
