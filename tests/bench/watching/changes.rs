//! Makes changes, and says when they were written.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::future::join_all;
use sqlx::PgConnection;
use tokio::time::{Instant, interval, interval_at};
use windrow_client::{Client, TriggerJob, proto};

/// Changes a second of one lane, which makes one after the other.
const OF_A_LANE: u32 = 50;

/// Makes scheduled jobs that are not due for months.
pub(crate) async fn create_jobs(client: &Client, ids: impl Iterator<Item = String>) {
    for id in ids {
        let job = proto::ScheduledJob {
            scheduled_job_id: id,
            name: "Job".to_owned(),
            cron_expression: "0 0 1 1 *".to_owned(),
            parameters: Some(proto::ScrapeParameters {
                locations: vec!["46201".to_owned()],
                source: Some("nobody".to_owned()),
                ..Default::default()
            }),
            ..Default::default()
        };
        client.create_job(job).await.unwrap();
    }
}

/// Repeatedly triggers a job and cancels the run, at this rate of changes per second if the server
/// can; returns how long it took.
pub(crate) async fn make(client: &Client, job: &str, rate: u32, seconds: u32) -> Duration {
    let lanes = rate.div_ceil(OF_A_LANE);
    let period = Duration::from_secs(1) * lanes / rate;
    let of_a_lane = rate * seconds / lanes / 2;
    let begin = Instant::now();
    let lanes = (0..lanes).map(|lane| {
        let (client, job) = (client.clone(), job.to_owned());
        let mut clock = interval_at(begin + period * lane / lanes, period);
        tokio::spawn(async move {
            for _ in 0..of_a_lane {
                clock.tick().await;
                let job_id = client.trigger_job(&job).await.unwrap().job_id;
                clock.tick().await;
                client.cancel_run(job_id).await.unwrap();
            }
        })
    });
    join_all(lanes).await.into_iter().for_each(Result::unwrap);
    begin.elapsed()
}

/// Makes runs for [`make_in_batches`].
pub(crate) async fn prepare(client: &Client, job: &str, batches: u32, of_a_batch: u32) {
    for run in 0..batches * of_a_batch {
        let batch = (run / of_a_batch).to_string();
        client.trigger_job(TriggerJob::new(job).label("batch", batch)).await.unwrap();
    }
}

/// Cancels batches of runs, each in one transaction, at this rate per second. Returns the time it took.
pub(crate) async fn make_in_batches(client: &Client, batches: u32, rate: u32) -> Duration {
    let begin = Instant::now();
    let mut clock = interval(Duration::from_secs(1) / rate);
    for batch in 0..batches {
        clock.tick().await;
        let filter = format!("labels.batch = {batch}");
        client.cancel_runs().filter(filter).await.unwrap();
    }
    begin.elapsed()
}

/// Position of the feed while nobody writes.
pub(crate) async fn last(conn: &mut PgConnection) -> i64 {
    sqlx::query_scalar("select coalesce(max(id), 0) from run_event").fetch_one(conn).await.unwrap()
}

/// When the changes after an event were written, in the order of the feed; those to one status only if
/// it is given.
pub(crate) async fn written(
    conn: &mut PgConnection,
    after: i64,
    status: Option<&str>,
) -> Vec<DateTime<Utc>> {
    sqlx::query_scalar(
        "select written_at from run_event where id > $1 and ($2::text is null or status = $2)
         order by xid, id",
    )
    .bind(after)
    .bind(status)
    .fetch_all(conn)
    .await
    .unwrap()
}

/// Delays of changes that arrived in the order in which they were written.
pub(crate) fn lateness<'a>(
    written: &'a [DateTime<Utc>],
    arrived: &'a [DateTime<Utc>],
) -> impl Iterator<Item = Duration> + 'a {
    assert_eq!(arrived.len(), written.len(), "a change was left out");
    written.iter().zip(arrived).map(|(from, to)| (*to - *from).to_std().unwrap_or_default())
}
