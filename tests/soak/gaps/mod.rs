//! A watch has no gaps, whatever happens: watchers with and without filters follow many changes of
//! status, made through two servers, some by cancellations of one run and of many, while servers are killed,
//! stopped and ended, lines are cut and frozen, and watchers do not read. What each has seen is what the
//! outbox holds, in its order.
//!
//! `WINDROW_GAPS_CHANGES=20000` makes it longer, `WINDROW_GAPS_SEED` repeats the faults of another run.

mod crowd;
mod faults;
mod outbox;
mod stage;
mod watcher;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sqlx::PgPool;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use windrow_client::{Client, proto};

use self::crowd::Crowd;
use self::outbox::Outbox;
use self::stage::Stage;
use self::watcher::Interest;
use crate::support::database::new_database;
use crate::support::{PATIENCE, QUICK, job, parameters};
use proto::ScrapingJobStatus as Status;

/// Changes of status in the short form: some seconds.
const CHANGES: usize = 1_200;
/// Of two runs: three of one that ends by itself, two of one that is cancelled while it is pending.
const CHANGES_OF_TWO: usize = 5;
const JOBS: [&str; 4] = ["a", "b", "c", "d"];
const WATCHERS: usize = 50;
/// Each so many runs one has a watcher of its own, one is cancelled, and all urgent ones are.
const OF_ONE_RUN: usize = 20;
const CANCEL: usize = 7;
const CANCEL_ALL: usize = 40;
const WRITERS: usize = 6;
/// A server that does not answer is stopped or gone.
const CALL: Duration = Duration::from_secs(3);
const SETTINGS: &str = r#"
lease = "4s"
heartbeat = "1s"
stop_grace = "1s"
max_concurrent_runs = 8

[sources.quick]
kind = "sample"
listings_per_location = 2
pace = "0s"
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "a test has no supervisor")]
async fn every_watcher_sees_what_the_outbox_holds() {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seed = number("WINDROW_GAPS_SEED").unwrap_or_else(rand::random);
    let changes = number("WINDROW_GAPS_CHANGES").map_or(CHANGES, |n| usize::try_from(n).unwrap());
    eprintln!("WINDROW_GAPS_SEED={seed}");
    let url = new_database().await;
    let pool = PgPool::connect(&url).await.unwrap();
    let stage = Arc::new(Stage::new(&url).await);
    create_jobs(&stage).await;
    let crowd = Arc::new(Crowd::new(&stage, seed));
    (0..WATCHERS).for_each(|index| crowd.add(asks(index)));
    crowd.wait_until_synced().await;

    let written = CancellationToken::new();
    let striking = tokio::spawn(faults::inject_faults(Arc::clone(&stage), seed, written.clone()));
    write(&stage, &crowd, 2 * changes / CHANGES_OF_TWO).await;
    written.cancel();
    let struck = striking.await.unwrap();
    wait_for_the_end(&pool).await;

    let outbox = Outbox::read(&pool).await;
    let (synced, repeated) = crowd.figures();
    eprintln!(
        "{struck}\n{} changes of status in {} events, {} of them out of order; {} watchers in \
         {synced} streams, {repeated} messages came again",
        outbox.changes_of_status(),
        outbox.events.len(),
        outbox.inversions(),
        crowd.len(),
    );
    crowd.compare(&outbox).await;
    assert!(outbox.disordered().is_empty(), "{:#?}", outbox.disordered());
    assert!(outbox.changes_of_status() >= changes, "nothing was put to the test");
    assert!(outbox.inversions() > 0, "the order of ids was the order of commit");
}

fn asks(index: usize) -> Interest {
    match index % 10 {
        0..3 => Interest::Everything,
        3 => Interest::Status(Status::Pending),
        4 => Interest::Status(Status::Running),
        5 => Interest::Status(Status::Completed),
        6 => Interest::Urgent,
        other => Interest::Job(JOBS[(index + other) % JOBS.len()]),
    }
}

async fn create_jobs(stage: &Stage) {
    let client = Client::connect(&stage.addresses()[0]).await.unwrap();
    for id in JOBS {
        let scheduled_job = proto::ScheduledJob {
            parameters: Some(proto::ScrapeParameters {
                locations: ["A", "B"].map(str::to_owned).to_vec(),
                request_delay: Some(prost_types::Duration::default()),
                ..parameters(QUICK)
            }),
            labels: [("by".to_owned(), "writer".to_owned())].into(),
            ..job(id)
        };
        let request = proto::CreateScheduledJobRequest {
            scheduled_job: Some(scheduled_job),
            ..Default::default()
        };
        client.create_scheduled_job(request).await.unwrap();
    }
}

/// Triggers so many runs, some of which get a watcher of their own.
async fn write(stage: &Arc<Stage>, crowd: &Arc<Crowd>, count: usize) {
    let next = Arc::new(AtomicUsize::new(0));
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let (stage, crowd, next) = (Arc::clone(stage), Arc::clone(crowd), Arc::clone(&next));
        writers.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return;
                }
                let run = trigger(&stage, number).await;
                if number.is_multiple_of(CANCEL) {
                    cancel(&stage, number, &run).await;
                }
                if number.is_multiple_of(CANCEL_ALL) {
                    cancel_urgent(&stage, number).await;
                }
                if number.is_multiple_of(OF_ONE_RUN) {
                    crowd.add(Interest::Run(run));
                }
            }
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended.unwrap();
    }
}

/// Interest one server after the other: one of them may be stopped or gone.
async fn trigger(stage: &Stage, number: usize) -> String {
    let priority = if number.is_multiple_of(3) { "HIGH" } else { "NORMAL" };
    let name = format!("SCRAPING_JOB_PRIORITY_{priority}");
    let request = proto::TriggerJobRequest {
        job_id: JOBS[number % JOBS.len()].to_owned(),
        request_id: format!("{number}"),
        priority: proto::ScrapingJobPriority::from_str_name(&name).unwrap().into(),
        ..Default::default()
    };
    let begin = Instant::now();
    for turn in number.. {
        let client = Client::connect_lazy(&stage.addresses()[turn % 2]).unwrap();
        let seen = match timeout(CALL, client.trigger_job(request.clone())).await {
            Ok(Ok(answer)) => return answer.job_id,
            Ok(Err(error)) => error.to_string(),
            Err(late) => late.to_string(),
        };
        assert!(begin.elapsed() < PATIENCE, "no server answers: {seen}");
    }
    unreachable!("turns do not end")
}

/// Interest one server, which may be gone, and the run may have ended.
async fn cancel(stage: &Stage, number: usize, run: &str) {
    let client = Client::connect_lazy(&stage.addresses()[number % 2]).unwrap();
    let request = proto::CancelScrapingJobRequest { job_id: run.to_owned() };
    timeout(CALL, client.cancel_scraping_job(request)).await.ok();
}

/// Many runs in one transaction, while others change them.
async fn cancel_urgent(stage: &Stage, number: usize) {
    let client = Client::connect_lazy(&stage.addresses()[number / CANCEL_ALL % 2]).unwrap();
    let request = proto::CancelScrapingJobsRequest {
        filter: "priority = high AND labels.by = writer".to_owned(),
        ..Default::default()
    };
    timeout(CALL, client.cancel_scraping_jobs(request)).await.ok();
}

async fn wait_for_the_end(pool: &PgPool) {
    let active = "select count(*) from scraping_job where status in ('pending', 'running')";
    let (mut begin, mut before) = (Instant::now(), i64::MAX);
    loop {
        let count: i64 = sqlx::query_scalar(active).fetch_one(pool).await.unwrap();
        match count {
            0 => return,
            count if count < before => (begin, before) = (Instant::now(), count),
            _ => assert!(begin.elapsed() < PATIENCE * 2, "{count} runs do not end"),
        }
        sleep(Duration::from_millis(200)).await;
    }
}
