//! The client library while servers stop, die and forget.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt};
use sqlx::PgPool;
use windrow_client::{Client, Code, Error, RetryBudget, TriggerJob, WatchEvent, proto};

use crate::support::database::new_database;
use crate::support::program::Program;
use crate::support::proxy::{Line, Proxy};
use crate::support::{PATIENCE, SLOW, Windrow, eventually, job, parameters, wait_for};
use proto::ScrapingJobStatus as Status;

const SETTINGS: &str = r#"
[sources.quick]
kind = "sample"
listings_per_location = 2
"#;
/// Triggered while a watcher loses its server.
const RUNS: usize = 40;

#[tokio::test]
async fn a_wait_continues_on_another_server() {
    let executing = Windrow::start().await;
    let slow = proto::ScheduledJob { parameters: Some(parameters(SLOW)), ..job("slow") };
    executing.create_as(slow).await.unwrap();
    let stopping = Windrow::start_on(&executing.database_url, |c| c.sources.clear()).await;
    let servers = format!("{},{}", stopping.address(), executing.address());
    let client = Client::connect(&servers).await.unwrap();
    let request = TriggerJob::new("slow").request_id("once");

    let interrupt = async {
        let run = executing.client.trigger_job(request.clone()).await.unwrap().job_id;
        wait_for(&mut executing.client.watch(&run).states(), Status::Running).await;
        stopping.stop().await;
        executing.cancel(&run).await.unwrap();
        run
    };
    let both = futures::future::join(client.trigger_and_wait(request.clone()), interrupt);
    let (end, run) = tokio::time::timeout(PATIENCE, both).await.unwrap();

    let end = end.unwrap();
    assert_eq!((&end.job_id, end.status()), (&run, Status::Cancelled));
    assert_eq!(client.endpoint(), executing.address());
    executing.stop().await;
}

#[tokio::test]
async fn every_state_of_all_runs_arrives_once_although_a_server_is_killed() {
    let url = new_database().await;
    let start = |settings| Program::start(&["--database-url", &url], settings, &[]);
    // The first server executes nothing, so killing it delays no run.
    let (mut first, second) = (start(""), start(SETTINGS));
    let direct = Client::connect(&second.address).await.unwrap();
    direct.create_job(job("job")).await.unwrap();
    let builder = Client::builder().endpoint(&first.address).endpoint(&second.address);
    let mut events = builder.connect().await.unwrap().watch_all().events();

    let (mut states, mut made, mut lost) = (BTreeMap::<String, Vec<_>>::new(), 0, false);
    let watched = tokio::time::timeout(PATIENCE, async {
        while let Some(event) = events.try_next().await.unwrap() {
            lost |= matches!(event, WatchEvent::Interrupted(_));
            if let Some(run) = event.run() {
                let seen = states.entry(run.job_id.clone()).or_default();
                seen.push((run.revision, run.status()));
            }
            if made < RUNS {
                direct.trigger_job("job").await.unwrap();
                made += 1;
            }
            if made == RUNS / 2 {
                first.process.kill();
            }
            let ended = states.values().filter(|seen| seen.last().unwrap().1 == Status::Completed);
            if ended.count() == RUNS {
                return;
            }
        }
    });
    watched.await.expect("the watch did not show the end of all runs");

    assert!(lost, "the killed server was not the one in use");
    for seen in states.values() {
        assert!(seen.windows(2).all(|pair| pair[0].0 < pair[1].0), "{seen:?}");
        let mut statuses: Vec<_> = seen.iter().map(|state| state.1).collect();
        statuses.dedup();
        assert_eq!(statuses, [Status::Pending, Status::Running, Status::Completed]);
    }
    assert_eq!(second.process.terminate(), Some(0));
}

#[tokio::test]
async fn pruned_changes_are_an_error_or_a_resync() {
    let first = Windrow::start().await;
    first.create("job").await;
    let mut events = first.client.watch_all().events();
    while !matches!(events.next().await, Some(Ok(WatchEvent::Synced))) {}
    let token = events.resume_token().to_owned();
    first.client.trigger_and_wait("job").await.unwrap();
    let pool = PgPool::connect(&first.database_url).await.unwrap();
    let age = "update run_event set written_at = written_at - interval '8 days'";
    sqlx::query(age).execute(&pool).await.unwrap();
    let url = first.database_url.clone();
    first.stop().await;
    // A server prunes when it starts.
    let second = Windrow::start_on(&url, |_| {}).await;
    let from_there = || second.client.watch_all().resume_from(&token);

    // The change is still sent until it is pruned.
    let refused =
        eventually("the change is pruned", async || match from_there().events().next().await {
            Some(Ok(event)) => Err(event),
            other => Ok(other),
        });
    let refused = refused.await;
    let begun: Vec<_> = from_there().resync().events().take(2).collect().await;

    assert!(matches!(refused, Some(Err(Error::TokenExpired(_)))), "{refused:?}");
    assert!(
        matches!(
            &begun[..],
            [Ok(WatchEvent::Resynced(Error::TokenExpired(_))), Ok(WatchEvent::Synced)]
        ),
        "{begun:?}"
    );
    second.stop().await;
}

#[tokio::test]
async fn a_list_of_many_pages_is_a_stream_of_items() {
    let windrow = Windrow::start().await;
    for id in ["a", "b", "c"] {
        windrow.create(id).await;
    }
    let mut made = Vec::new();
    for _ in 0..5 {
        made.insert(0, windrow.trigger("b").await.job_id);
    }

    let runs = windrow.client.list_runs().page_size(2).stream().map_ok(|run| run.job_id);
    let runs: Vec<_> = runs.try_collect().await.unwrap();
    let jobs = windrow.client.list_jobs().page_size(1).stream();
    let jobs = jobs.map_ok(|job| job.scheduled_job_id);
    let jobs: Vec<_> = jobs.try_collect().await.unwrap();
    let mut wrong = windrow.client.list_runs().filter("nonsense").stream();
    let wrong = wrong.try_next().await.unwrap_err();

    assert_eq!((runs, jobs), (made, ["a", "b", "c"].map(str::to_owned).into()));
    assert_eq!(wrong.code(), Code::InvalidArgument);
    windrow.stop().await;
}

#[tokio::test]
async fn a_cut_connection_costs_a_retry_of_the_budget() {
    let windrow = Windrow::start().await;
    windrow.create("job").await;
    let proxy = Proxy::start(&windrow.address()).await;
    let builder = || Client::builder().endpoint(&proxy.address);
    let frugal =
        builder().retry_budget(RetryBudget { per_second: 0, percent: 0 }).connect().await.unwrap();
    let usual = builder().connect().await.unwrap();
    let trigger = async |client: &Client| {
        proxy.set(Line::Frozen);
        let cut = async {
            tokio::task::yield_now().await;
            proxy.cut();
            proxy.set(Line::Clear);
        };
        futures::join!(client.trigger_job("job"), cut).0
    };

    let (given_up, made) = (trigger(&frugal).await, trigger(&usual).await);

    assert!(matches!(given_up, Err(Error::Broken { .. })), "{given_up:?}");
    assert!(made.is_ok(), "{made:?}");
    assert_eq!(windrow.get("job").await.total_runs, 1);
    windrow.stop().await;
}
