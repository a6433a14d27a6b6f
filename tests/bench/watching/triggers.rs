//! Effect of watchers on triggers: triggers per second with and without them, alternately.

use std::time::{Duration, Instant};

use futures::future::join_all;
use sqlx::{Connection, Executor, PgConnection};
use windrow_client::{Client, proto};

use crate::program::Program;
use crate::streams::Streams;
use crate::{changes, database, server};

const WATCHERS: u32 = 1_000;
/// Each trigger chooses one of these jobs.
const JOBS: u32 = 1_000;
const LANES: u32 = 8;

struct Comparison {
    what: &'static str,
    /// Request of a watcher.
    wanted: fn(u32) -> proto::WatchScrapingJobsRequest,
    pairs: usize,
    leg: Duration,
}

const COMPARISONS: [Comparison; 2] = [
    Comparison {
        what: "each of its own job: a trigger is delivered once",
        wanted: |number| proto::WatchScrapingJobsRequest {
            scheduled_job_id: job(number),
            ..Default::default()
        },
        pairs: 10,
        leg: Duration::from_secs(3),
    },
    Comparison {
        what: "each of all jobs: a trigger is delivered to all",
        wanted: |_| proto::WatchScrapingJobsRequest::default(),
        pairs: 5,
        leg: Duration::from_secs(2),
    },
];

pub(crate) async fn measure() {
    let url = database::new_database().await;
    let mut conn = PgConnection::connect(&url).await.unwrap();
    let server = server(&url);
    let client = Client::connect(&server.address).await.unwrap();
    changes::create_jobs(&client, (0..JOBS).map(job)).await;
    for comparison in COMPARISONS {
        comparison.measure(&server, &client, &mut conn).await;
    }
}

impl Comparison {
    async fn measure(&self, server: &Program, client: &Client, conn: &mut PgConnection) {
        // Warm-up.
        self.leg(server, client, conn, 0).await;
        let mut pairs = Vec::new();
        for pair in 0..self.pairs {
            // The order alternates.
            let (first, second) = if pair % 2 == 0 { (0, WATCHERS) } else { (WATCHERS, 0) };
            let first = self.leg(server, client, conn, first).await;
            let second = self.leg(server, client, conn, second).await;
            pairs.push(if pair % 2 == 0 { (first, second) } else { (second, first) });
        }
        let [_, without, _] = spread(pairs.iter().map(|pair| pair.0).collect());
        let [_, with, _] = spread(pairs.iter().map(|pair| pair.1).collect());
        let [least, ratio, most] = spread(pairs.iter().map(|pair| pair.1 / pair.0).collect());
        println!(
            "triggers by {LANES} at once: {without:.0} a second, with {WATCHERS} watchers {with:.0} ({}); \
             {ratio:.3} times, from {least:.3} to {most:.3} in {} pairs",
            self.what, self.pairs
        );
    }

    /// Triggers per second, starting without runs.
    async fn leg(
        &self,
        server: &Program,
        client: &Client,
        conn: &mut PgConnection,
        watchers: u32,
    ) -> f64 {
        conn.execute("truncate scraping_job, request cascade").await.unwrap();
        let wanted = (0..watchers).map(self.wanted).collect();
        let _streams = Streams::open(&server.address, wanted).await;
        let begin = Instant::now();
        let lanes = (0..LANES).map(|_| {
            let (client, leg) = (client.clone(), self.leg);
            tokio::spawn(async move {
                let mut made = 0;
                while begin.elapsed() < leg {
                    let job = job(rand::random_range(0..JOBS));
                    client.trigger_job(job).await.unwrap();
                    made += 1;
                }
                made
            })
        });
        let made: u32 = join_all(lanes).await.into_iter().map(Result::unwrap).sum();
        f64::from(made) / begin.elapsed().as_secs_f64()
    }
}

/// The least, the median and the most.
fn spread(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [0, values.len() / 2, values.len() - 1].map(|place| values.get(place).copied().unwrap())
}

fn job(number: u32) -> String {
    format!("job{number}")
}
