//! Thousands of streams at one server that all see every change.

use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection};
use windrow_client::{Client, proto};

use crate::figures::Figures;
use crate::program::Program;
use crate::streams::Streams;
use crate::{changes, database, server};

/// Changes to measure with a number of streams.
struct Crowd {
    streams: usize,
    /// Changes a second that each sees.
    rate: u32,
    bursts: [usize; 2],
}

/// The rates are what two cores carry that also run the clients and Postgres.
const CROWDS: [Crowd; 2] = [
    Crowd { streams: 1_000, rate: 20, bursts: [100, 1_000] },
    Crowd { streams: 10_000, rate: 2, bursts: [10, 100] },
];
const SECONDS: u32 = 10;
/// The streams watch for this status, so that runs can be made unseen.
const SEEN: &str = "cancelled";
/// A steady stream's changes, and a burst's.
const JOBS: [&str; 2] = ["steady", "burst"];

/// A server and what watches it.
struct Watched {
    server: Program,
    client: Client,
    conn: PgConnection,
    streams: Streams,
}

pub(crate) async fn measure(base: f64) {
    for crowd in CROWDS {
        let mut watched = Watched::open(crowd.streams).await;
        watched.steady(&crowd, base).await;
        for changes in crowd.bursts {
            watched.burst(changes, crowd.streams).await;
        }
    }
}

impl Watched {
    async fn open(count: usize) -> Self {
        let url = database::new_database().await;
        let server = server(&url);
        let client = Client::connect(&server.address).await.unwrap();
        changes::create_jobs(&client, JOBS.map(str::to_owned).into_iter()).await;
        let filter = format!("status = {SEEN}");
        let request = proto::WatchScrapingJobsRequest { filter, ..Default::default() };
        // The first ones take what is taken only once.
        drop(Streams::open(&server.address, vec![request.clone(); 10]).await);
        let before = server.memory();
        let streams = Streams::open(&server.address, vec![request; count]).await;
        let each = (server.memory() - before) / u64::try_from(count).unwrap();
        println!("{count} streams: {each} KiB of the server's memory each");
        let conn = PgConnection::connect(&url).await.unwrap();
        Self { server, client, conn, streams }
    }

    async fn steady(&mut self, crowd: &Crowd, base: f64) {
        let last = changes::last(&mut self.conn).await;
        let (spent, begin) = (spent(&self.server), Instant::now());
        // Half of what is made is seen.
        changes::make(&self.client, JOBS[0], crowd.rate * 2, SECONDS).await;
        let written = changes::written(&mut self.conn, last, Some(SEEN)).await;
        let arrived = self.streams.arrivals(written.len()).await;
        let took = begin.elapsed();
        let late = arrived.iter().flat_map(|own| changes::lateness(&written, own)).collect();
        let lag = Figures::of(late);
        lag.print_beside(base, &format!("    {} changes a second, to all, late by", crowd.rate));
        self.print(written.len() * crowd.streams, took, spent);
    }

    /// Changes of few transactions.
    async fn burst(&mut self, changes: usize, streams: usize) {
        for _ in 0..changes {
            self.client.trigger_job(JOBS[1]).await.unwrap();
        }
        let (spent, begin) = (spent(&self.server), Instant::now());
        self.client.cancel_runs().job(JOBS[1]).await.unwrap();
        self.streams.arrivals(changes).await;
        println!("    {changes} changes at once, to all:");
        self.print(changes * streams, begin.elapsed(), spent);
    }

    fn print(&self, deliveries: usize, took: Duration, before: Duration) {
        let deliveries = f64::from(u32::try_from(deliveries).unwrap());
        let spent = spent(&self.server).saturating_sub(before);
        println!(
            "        {deliveries} deliveries in {:.1} s, {:.0} a second; {:.1} µs of the server's \
             processor time each; the server has {} MiB",
            took.as_secs_f64(),
            deliveries / took.as_secs_f64(),
            spent.as_secs_f64() * 1e6 / deliveries,
            self.server.memory() / 1024
        );
    }
}

/// Processor time of the server so far.
fn spent(server: &Program) -> Duration {
    let threads = std::fs::read_dir(format!("/proc/{}/task", server.child.id())).unwrap();
    let nanos = threads.filter_map(|thread| {
        // Its first number is nanoseconds on a processor.
        let stat = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        stat.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}
