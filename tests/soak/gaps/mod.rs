//! A watch has no gaps: watchers with and without filters follow many status changes, made through two
//! servers, some by cancelling one run or many, while servers are killed, suspended and terminated,
//! connections are cut and frozen, and watchers do not read. Each has to see exactly what the outbox holds,
//! in the same order.

mod crowd;
mod outbox;
mod watcher;
mod writers;

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use windrow_client::{Client, proto};

use self::crowd::Crowd;
use self::outbox::Outbox;
use self::watcher::Interest;
use crate::faults::Fault::{
    CutDatabaseLine, CutLine, FreezeDatabaseLine, FreezeLine, KillServer, SuspendServer,
    TerminateServer,
};
use crate::faults::{Concurrency, FaultPlan, Injector};
use crate::options;
use crate::stage::{DatabaseLine, Stage, wait_until_all_runs_ended};
use crate::support::database::new_database;
use crate::support::proxy::Line;
use crate::support::{QUICK, job, parameters};
use proto::ScrapingJobStatus as Status;

/// Status changes in the short form.
const CHANGES: u64 = 1_200;
/// Status changes of two runs: three of one that ends by itself, two of one that is cancelled while pending.
const CHANGES_OF_TWO: usize = 5;
const JOBS: [&str; 4] = ["a", "b", "c", "d"];
const WATCHERS: usize = 50;
const FAULTS: FaultPlan = FaultPlan {
    faults: &[
        KillServer,
        SuspendServer,
        TerminateServer,
        CutLine,
        FreezeLine,
        CutDatabaseLine,
        FreezeDatabaseLine,
    ],
    concurrency: Concurrency::OneAtATime,
    shortest_outage: Duration::from_millis(250),
    interval: 100..1_000,
};
/// Distance of the second server from the database. Its transactions stay open for long while those of the
/// first server commit, so events become visible out of the order of their ids.
const FAR: Line = Line::Slow(Duration::from_millis(10));
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
async fn every_watcher_sees_exactly_what_the_outbox_holds() {
    let seed = options::seed("WINDROW_GAPS_SEED");
    let changes = usize::try_from(options::number("WINDROW_GAPS_CHANGES", CHANGES)).unwrap();
    let url = new_database().await;
    let pool = PgPool::connect(&url).await.unwrap();
    let stage = Arc::new(start_stage(&url).await);
    create_jobs(&stage).await;
    let crowd = Arc::new(Crowd::new(&stage, seed));
    (0..WATCHERS).for_each(|index| crowd.add(interest(index)));
    crowd.wait_until_synced().await;

    let written = CancellationToken::new();
    let injector = Arc::new(Injector::new(&stage, FAULTS, seed));
    let write = async {
        writers::write(&stage, &crowd, &injector, 2 * changes / CHANGES_OF_TWO).await;
        written.cancel();
    };
    tokio::join!(injector.run(&written), write);
    wait_until_all_runs_ended(&pool).await;

    let outbox = Outbox::read(&pool).await;
    let (synced, repeated) = crowd.figures();
    eprintln!(
        "{injector}\n{} status changes in {} events, {} of them out of order; {} watchers in \
         {synced} streams, {repeated} repeated messages",
        outbox.status_changes(),
        outbox.events.len(),
        outbox.inversions(),
        crowd.len(),
    );
    crowd.compare(&outbox).await;
    assert!(outbox.disordered().is_empty(), "{:#?}", outbox.disordered());
    assert!(outbox.status_changes() >= changes, "too few status changes");
    assert!(outbox.inversions() > 0, "ids are in commit order, so the test proves little");
}

async fn start_stage(database_url: &str) -> Stage {
    let near = DatabaseLine::start(database_url, Line::Clear).await;
    let far = DatabaseLine::start(database_url, FAR).await;
    let urls = [near.url(database_url), far.url(database_url)];
    Stage::start(SETTINGS, &urls).await.with_database_lines(vec![near, far])
}

fn interest(index: usize) -> Interest {
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
        client.raw().create_scheduled_job(request).await.unwrap();
    }
}
