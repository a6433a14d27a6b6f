//! Lease extension, timeouts, fairness, concurrency limits and logs.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::future::join_all;
use windrow_server::app::{App, Disagreement, Mode, Submission};
use windrow_server::domain::labels::Labels;
use windrow_server::domain::log::{Level, LogFilter};
use windrow_server::domain::parameters::ScrapeParameters;
use windrow_server::domain::policy::RunPolicy;
use windrow_server::domain::run::{Priority, Run, Status};
use windrow_worker::{AttemptUpdate, HeartbeatItem, LogLine, Outcome};

use crate::support::{
    LONG_AGO, World, at, complete, create, done, heartbeat_item, holder, lease, lease_many,
    trigger, update, worker_of,
};

async fn submit(app: &App) -> Run {
    let submission = Submission {
        parameters: ScrapeParameters {
            locations: vec!["Carmel, IN".to_owned()],
            source: Some("sample".to_owned()),
            ..ScrapeParameters::default()
        },
        priority: Some(Priority::Immediate),
        available_at: None,
        labels: Labels::default(),
        policy: RunPolicy::default(),
        requested_by: "a test".to_owned(),
        idempotency_key: None,
    };
    app.submit(submission, Mode::Commit).await.unwrap()
}

fn heartbeat_of(run: &Run) -> Vec<HeartbeatItem> {
    vec![heartbeat_item(run, AttemptUpdate::default())]
}

async fn expires_at(app: &App, run: &Run) -> DateTime<Utc> {
    app.get_run(&run.spec.id).await.unwrap().state.lease.unwrap().expires_at
}

#[tokio::test]
async fn a_heartbeat_extends_a_lease_only_after_a_third_of_it() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    trigger(&app, "job", None).await;
    let run = lease(&app, "worker").await;
    let first = expires_at(&app, &run).await;
    world.pass(6);
    app.heartbeat(worker_of(&run), heartbeat_of(&run), Duration::ZERO).await.unwrap();
    assert_eq!(expires_at(&app, &run).await, first);
    world.pass(1);
    app.heartbeat(worker_of(&run), heartbeat_of(&run), Duration::ZERO).await.unwrap();
    assert_eq!(expires_at(&app, &run).await, first + Duration::from_secs(7));
    let revision = app.get_run(&run.spec.id).await.unwrap().state.revision;
    assert_eq!(revision, run.state.revision, "an extension must not write an event");
}

#[tokio::test]
async fn heartbeats_do_not_prolong_an_attempt_past_its_timeout_or_a_cancellation() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    update(&app, "job", |draft| draft.policy.attempt_timeout = Some(Duration::from_mins(1))).await;
    let late = trigger(&app, "job", None).await;
    let late = {
        lease(&app, "late").await;
        app.get_run(&late.spec.id).await.unwrap()
    };
    for _ in 0..11 {
        world.pass(5);
        assert_eq!(
            app.heartbeat(worker_of(&late), heartbeat_of(&late), Duration::ZERO)
                .await
                .unwrap()
                .len(),
            1
        );
    }
    world.pass(5);
    let taken = app.reap(10, LONG_AGO).await.unwrap();
    assert_eq!(taken[0].state.status, Status::Pending);
    assert_eq!(taken[0].state.error_message, "attempt timeout of 1m exceeded");
    assert!(
        app.heartbeat(worker_of(&late), heartbeat_of(&late), Duration::ZERO)
            .await
            .unwrap()
            .is_empty()
    );

    world.pass(60);
    let ignoring = lease(&app, "ignoring").await;
    app.cancel_run(&ignoring.spec.id).await.unwrap();
    for _ in 0..9 {
        world.pass(1);
        app.heartbeat(worker_of(&ignoring), heartbeat_of(&ignoring), Duration::ZERO).await.unwrap();
    }
    world.pass(1);
    assert_eq!(app.reap(10, LONG_AGO).await.unwrap()[0].state.status, Status::Cancelled);
}

#[tokio::test]
async fn a_pending_run_fails_when_its_run_timeout_expires() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    update(&app, "job", |draft| draft.policy.run_timeout = Some(Duration::from_mins(1))).await;
    let run = trigger(&app, "job", None).await;
    world.pass(59);
    assert_eq!(app.reap(10, LONG_AGO).await.unwrap(), []);
    world.pass(1);
    app.reap(10, LONG_AGO).await.unwrap();
    let ended = app.get_run(&run.spec.id).await.unwrap();
    assert_eq!((ended.state.status, ended.state.attempt), (Status::Failed, 0));
    assert_eq!(ended.state.error_message, "run timeout of 1m exceeded");
}

#[tokio::test]
async fn jobs_take_turns_and_a_concurrency_limit_keeps_runs_pending() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "big").await;
    create(&app, "small").await;
    for _ in 0..150 {
        trigger(&app, "big", None).await;
    }
    world.pass(60);
    trigger(&app, "small", None).await;
    let mut turns = Vec::new();
    for _ in 0..3 {
        let run = lease(&app, "worker").await;
        turns.push(run.spec.scheduled_job_id.clone().unwrap().to_string());
        complete(&app, &run).await.unwrap();
        world.pass(1);
    }
    assert_eq!(turns, ["big", "small", "big"]);
    let one_off = submit(&app).await;
    let leased = lease_many(&app, "worker", 2).await;
    assert!(leased.iter().any(|run| run.spec.id == one_off.spec.id), "a one-off run has turns too");
    for run in &leased {
        complete(&app, run).await.unwrap();
    }

    update(&app, "big", |draft| draft.max_concurrent_runs = 2).await;
    assert_eq!(lease_many(&app, "worker", 10).await.len(), 2);
    let waiting = trigger(&app, "big", None).await;
    let wait = app.pending_reasons(&[waiting]).await.unwrap().pop().unwrap().unwrap();
    assert_eq!(wait.to_string(), "scheduled job big, of which at most 2 runs may be running");
}

#[tokio::test]
async fn limits_hold_when_many_servers_lease_concurrently() {
    let world = World::new().await;
    let limits = || BTreeMap::from([("sample".to_owned(), 5)]);
    let apps: Vec<App> = join_all((0..8).map(|_| world.app()))
        .await
        .into_iter()
        .map(|app| app.with_source_limits(limits()))
        .collect();
    create(&apps[0], "free").await;
    create(&apps[0], "single").await;
    update(&apps[0], "single", |draft| draft.max_concurrent_runs = 1).await;
    for _ in 0..20 {
        trigger(&apps[0], "free", None).await;
        trigger(&apps[0], "single", None).await;
    }
    for round in 0..5 {
        let leased = join_all(apps.iter().map(|app| lease_many(app, "worker", 3))).await;
        let leased: Vec<Run> = leased.into_iter().flatten().collect();
        assert_eq!(leased.len(), 5, "round {round}");
        let of_single = leased
            .iter()
            .filter(|run| run.spec.scheduled_job_id.as_ref().unwrap().as_str() == "single");
        assert_eq!(of_single.count(), 1, "round {round}");
        for run in &leased {
            complete(&apps[0], run).await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_lowest_limit_of_a_source_holds_on_all_servers() {
    let world = World::new().await;
    let limited = world.app().await.with_source_limits([("sample".to_owned(), 2)].into());
    let other = world.app().await;
    create(&other, "job").await;
    for _ in 0..4 {
        trigger(&other, "job", None).await;
    }
    assert_eq!(limited.share_source_limits().await.unwrap(), []);
    let different = other.share_source_limits().await.unwrap();
    let limits =
        BTreeMap::from([(limited.server().to_owned(), Some(2)), (other.server().to_owned(), None)]);
    assert_eq!(different, [Disagreement { source: "sample".to_owned(), limits }]);

    assert_eq!(lease_many(&other, "worker", 4).await.len(), 2);

    limited.forget_server().await.unwrap();
    assert_eq!(other.share_source_limits().await.unwrap(), []);
    assert_eq!(
        lease_many(&other, "worker", 4).await.len(),
        2,
        "without its server, the limit ends"
    );
}

#[tokio::test]
async fn a_retry_is_leased_with_the_remaining_locations() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    trigger(&app, "job", None).await;
    let first = lease(&app, "first").await;
    let update = done(&["Carmel, IN"]);
    app.heartbeat(worker_of(&first), vec![heartbeat_item(&first, update)], Duration::ZERO)
        .await
        .unwrap();
    let failed = Outcome::Failed { reason: "no network".to_owned(), permanent: false };
    app.finish(&holder(&first), failed, AttemptUpdate::default()).await.unwrap();
    world.pass(60);
    let second = lease(&app, "second").await;
    assert_eq!(second.remaining_locations(), ["Indianapolis, IN"]);
    let update = done(&["Indianapolis, IN"]);
    let ended = app.finish(&holder(&second), Outcome::Done, update).await.unwrap();
    assert_eq!(
        (ended.state.status, ended.state.progress.completed_locations()),
        (Status::Completed, 2)
    );
}

#[tokio::test]
async fn a_log_keeps_a_line_once_and_is_limited() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    trigger(&app, "job", None).await;
    let run = lease(&app, "worker").await;
    let line = |sequence| LogLine {
        sequence,
        location: "Carmel, IN".to_owned(),
        logged_at: app.now(),
        level: windrow_worker::Level::Info,
        text: format!("line {sequence}"),
    };
    for _ in 0..2 {
        let update = AttemptUpdate { results: Vec::new(), lines: vec![line(1), line(2)] };
        app.heartbeat(worker_of(&run), vec![heartbeat_item(&run, update)], Duration::ZERO)
            .await
            .unwrap();
    }
    let update = AttemptUpdate { results: Vec::new(), lines: (3..=2_500).map(line).collect() };
    app.heartbeat(worker_of(&run), vec![heartbeat_item(&run, update)], Duration::ZERO)
        .await
        .unwrap();
    let filter = LogFilter {
        run: run.spec.id.clone(),
        attempt: Some(1),
        location: None,
        min_level: Level::Debug,
        after: 0,
        limit: 5_000,
    };
    let page = app.list_logs(filter).await.unwrap();
    assert!(!page.has_more);
    let lines = page.items;
    assert_eq!(lines.len(), 2_000);
    assert!(lines.windows(2).all(|pair| pair[0].number < pair[1].number));
    assert_eq!((lines[1].line.text.as_str(), lines[2].line.text.as_str()), ("line 2", "line 3"));
    assert!(lines[1_999].line.text.contains("dropping further lines"));
}

#[tokio::test]
async fn logs_of_ended_runs_are_pruned_after_30_days() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    trigger(&app, "job", None).await;
    trigger(&app, "job", None).await;
    let (ended, active) = (lease(&app, "worker").await, lease(&app, "worker").await);
    for run in [&ended, &active] {
        // Worker clocks may be wrong in both directions; only the end of the run counts.
        let line = |number: i64| LogLine {
            sequence: number,
            location: format!("place {}", number % 9),
            logged_at: at(if number % 2 == 0 {
                "1970-01-01T00:00:00Z"
            } else {
                "2100-01-01T00:00:00Z"
            }),
            level: windrow_worker::Level::Info,
            text: "update".to_owned(),
        };
        let update = AttemptUpdate { results: Vec::new(), lines: (1..=1_100).map(line).collect() };
        app.heartbeat(worker_of(run), vec![heartbeat_item(run, update)], Duration::ZERO)
            .await
            .unwrap();
    }
    complete(&app, &ended).await.unwrap();

    for (days, lines) in [(29, 1_100), (2, 0)] {
        world.pass(days * 24 * 3_600);
        app.prune().await.unwrap();
        assert_eq!(lines_of(&world, &ended).await, lines, "after {days} more days");
        assert_eq!(lines_of(&world, &active).await, 1_100, "an active run keeps its log");
    }
}

async fn lines_of(world: &World, run: &Run) -> i64 {
    let count = "select count(*) from scraping_job_log where job_id = $1";
    sqlx::query_scalar(count).bind(run.spec.id.as_str()).fetch_one(&world.pool).await.unwrap()
}
