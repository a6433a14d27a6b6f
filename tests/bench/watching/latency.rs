//! Delay from the commit to a watcher with the client library, at the writer's server and at another one.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use sqlx::{Connection, Executor, PgConnection};
use tokio::sync::mpsc;
use tokio::time::sleep;
use windrow_client::{Client, WatchEvent};
use windrow_server::clock::SystemClock;

use crate::figures::{self, Figures};
use crate::{changes, database, server};

/// Changes per second, one per transaction.
const RATE: u32 = 100;
const SECONDS: u32 = 10;
/// Too many for one transaction each on two cores that also run two servers, their clients and Postgres.
const HIGH_RATE: u32 = 1_000;
const BATCH: u32 = 20;
const HIGH_SECONDS: u32 = 5;
/// Changes that another transaction holds back.
const HELD_BACK: usize = 20;

/// Returns the unit of this run.
pub(crate) async fn measure() -> f64 {
    let url = database::new_database().await;
    let mut conn = PgConnection::connect(&url).await.unwrap();
    let servers = [server(&url), server(&url)];
    let addresses = servers.each_ref().map(|server| server.address.as_str());
    let client = Client::connect(addresses[0]).await.unwrap();
    changes::create_jobs(&client, ["job".to_owned()].into_iter()).await;
    let base = figures::base(&url, addresses[0]).await;

    let making = changes::make(&client, "job", RATE, SECONDS);
    leg(addresses, &mut conn, base, making).await;
    println!("    they were made one by one");
    let batches = HIGH_RATE * HIGH_SECONDS / BATCH;
    changes::prepare(&client, "job", batches, BATCH).await;
    let making = changes::make_in_batches(&client, batches, HIGH_RATE / BATCH);
    leg(addresses, &mut conn, base, making).await;
    println!("    they were made {BATCH} in a transaction");
    held_back(&url, addresses[0], &client).await;
    base
}

/// Watches at the writer's server and at another one while changes are made.
async fn leg(
    servers: [&str; 2],
    conn: &mut PgConnection,
    base: f64,
    making: impl Future<Output = Duration>,
) {
    let last = changes::last(conn).await;
    let [same, another] = servers.map(watch);
    let (same, another) = (same.await, another.await);
    let took = making.await;
    let written = changes::written(conn, last, None).await;
    let made = f64::from(u32::try_from(written.len()).unwrap());
    println!("{:.0} changes a second:", made / took.as_secs_f64());
    for (place, mut watcher) in [("the writer's server", same), ("another server", another)] {
        let mut arrived = Vec::new();
        while arrived.len() < written.len() {
            arrived.push(watcher.recv().await.unwrap());
        }
        let figures = Figures::of(changes::lateness(&written, &arrived).collect());
        figures.print_beside(base, &format!("    late at {place} by"));
    }
}

/// Delay after the end of another transaction that was open when the change was committed, and so held it back.
async fn held_back(url: &str, server: &str, client: &Client) {
    let mut conn = PgConnection::connect(url).await.unwrap();
    let mut watcher = watch(server).await;
    let mut took = Vec::new();
    for _ in 0..HELD_BACK {
        let mut other = conn.begin().await.unwrap();
        other.execute("select pg_current_xact_id()").await.unwrap();
        client.trigger_job("job").await.unwrap();
        sleep(Duration::from_millis(rand::random_range(5..50))).await;
        let ends = SystemClock::uncorrected();
        other.commit().await.unwrap();
        let arrived = watcher.recv().await.unwrap();
        took.push((arrived - ends).to_std().expect("it was shown before its turn"));
    }
    Figures::of(took).print("held back, after the end of what held it back");
}

/// Arrival times of changes after SYNCED.
async fn watch(address: &str) -> mpsc::UnboundedReceiver<DateTime<Utc>> {
    let client = Client::connect(address).await.unwrap();
    let mut events = client.watch_all().events();
    while !matches!(events.try_next().await.unwrap().unwrap(), WatchEvent::Synced) {}
    let (sender, arrivals) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(event) = events.try_next().await.unwrap() {
            let arrived = SystemClock::uncorrected();
            let is_change = matches!(event, WatchEvent::Changed(_));
            // Sending fails when the leg is over and the servers end.
            if !is_change || sender.send(arrived).is_err() {
                break;
            }
        }
    });
    arrivals
}
