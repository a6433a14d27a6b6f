//! Leases: no run stays running, and a worker that lost its lease cannot change anything.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::{join_all, try_join_all};
use serde_json::{Map, json};
use windrow_server::app::{AppError, Holder, LeaseRequest};
use windrow_server::domain::run::{Counts, Priority, Status};
use windrow_worker::{
    AttemptId, AttemptUpdate, HeartbeatItem, Outcome, Property, Report, ScrapedProperty,
};

use crate::support::{
    LEASE, LONG_AGO, World, attempt, complete, create, done, heartbeat_item, holder, job, lease,
    lease_many, trigger, worker_of,
};

fn property(id: &str, price: i64) -> ScrapedProperty {
    let body = Map::from_iter([("price".to_owned(), json!(price))]);
    let location = "Indianapolis, IN".to_owned();
    ScrapedProperty { location, property: Property::new(id, body) }
}

fn report(scraped_before: i64, properties: Vec<ScrapedProperty>) -> Report {
    Report { scraped_before, properties, update: AttemptUpdate::default() }
}

#[tokio::test]
async fn an_attempt_that_lost_its_lease_changes_nothing() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    trigger(&app, "job", None).await;
    let first = lease(&app, "first").await;
    world.pass(21);
    let taken = app.reap(10, LONG_AGO).await.unwrap();
    assert_eq!((taken[0].state.status, taken[0].state.attempt), (Status::Pending, 1));
    world.pass(3_600);
    let second = lease(&app, "second").await;
    let stale = holder(&first);

    let assert_lost = |error: AppError| assert!(matches!(error, AppError::LeaseLost { .. }));
    let failed = Outcome::Failed { reason: "late".to_owned(), permanent: false };
    for outcome in [Outcome::Done, failed, Outcome::Released] {
        assert_lost(app.finish(&stale, outcome, done(&["Indianapolis, IN"])).await.unwrap_err());
    }
    let late = report(0, vec![property("late", 1)]);
    assert_lost(app.submit_properties(&stale, late).await.unwrap_err());
    let update = done(&["Indianapolis, IN"]);
    assert!(
        app.heartbeat(worker_of(&first), vec![heartbeat_item(&first, update)], Duration::ZERO)
            .await
            .unwrap()
            .is_empty()
    );

    assert_eq!(app.get_run(&second.spec.id).await.unwrap(), second);
    let ended = complete(&app, &second).await.unwrap();
    assert_eq!(
        (ended.state.status, ended.state.attempt, ended.state.counts),
        (Status::Completed, 2, Counts::default())
    );
    assert_eq!(job(&app, "job").await.history.run_count, 1);
}

#[tokio::test]
async fn an_attempt_of_another_worker_is_refused() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    trigger(&app, "job", None).await;
    let run = lease(&app, "worker").await;
    world.pass(10);
    let stranger = Holder { worker_id: Some("stranger".to_owned()), attempt: attempt(&run) };

    let assert_lost = |error: AppError| assert!(matches!(error, AppError::LeaseLost { .. }));
    let locations = ["Indianapolis, IN", "Carmel, IN"];
    assert_lost(app.finish(&stranger, Outcome::Done, done(&locations)).await.unwrap_err());
    let rows = report(0, vec![property("a", 1)]);
    assert_lost(app.submit_properties(&stranger, rows).await.unwrap_err());
    let item = heartbeat_item(&run, done(&locations));
    assert!(app.heartbeat("stranger", vec![item], Duration::ZERO).await.unwrap().is_empty());

    assert_eq!(app.get_run(&run.spec.id).await.unwrap(), run, "its lease is not extended");
    complete(&app, &run).await.unwrap();
}

#[tokio::test]
async fn a_run_whose_workers_always_die_fails_after_its_last_attempt() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    let run = trigger(&app, "job", None).await;

    for attempt in 1..=run.state.max_attempts {
        assert_eq!(lease(&app, "worker").await.state.attempt, attempt);
        world.pass(19);
        assert_eq!(app.reap(10, LONG_AGO).await.unwrap(), [], "the lease is still valid");
        world.pass(2);
        assert_eq!(app.reap(10, LONG_AGO).await.unwrap().len(), 1);
        world.pass(3_600);
    }

    let ended = app.get_run(&run.spec.id).await.unwrap();
    assert_eq!(ended.state.status, Status::Failed);
    assert!(ended.state.error_message.contains("no heartbeat"), "{}", ended.state.error_message);
    assert_eq!(job(&app, "job").await.history.run_count, 1);
}

#[tokio::test]
async fn time_without_a_database_does_not_count_against_workers() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    trigger(&app, "job", None).await;
    let run = lease(&app, "worker").await;
    world.pass(60);
    let back_at = app.now();
    assert_eq!(app.reap(10, back_at).await.unwrap(), []);
    world.pass(19);
    assert_eq!(app.reap(10, back_at).await.unwrap(), []);
    let beat = async || {
        let item = heartbeat_item(&run, AttemptUpdate::default());
        app.heartbeat(worker_of(&run), vec![item], Duration::ZERO).await.unwrap()
    };
    assert_eq!(beat().await[&attempt(&run)].expires_in, LEASE);
    world.pass(19);
    assert_eq!(app.reap(10, back_at).await.unwrap(), [], "the lease was extended");
    world.pass(1);
    assert_eq!(app.reap(10, back_at).await.unwrap().len(), 1);

    // A cancelled run ends after the time to stop, whatever the database did.
    world.pass(3_600);
    let cancelled = lease(&app, "worker").await;
    app.cancel_run(&cancelled.spec.id).await.unwrap();
    world.pass(10);
    assert_eq!(app.reap(10, app.now()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn heartbeats_keep_the_lease() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    trigger(&app, "job", None).await;
    let run = lease(&app, "worker").await;
    for _ in 0..5 {
        world.pass(15);
        let leases = app
            .heartbeat(
                worker_of(&run),
                vec![heartbeat_item(&run, AttemptUpdate::default())],
                Duration::ZERO,
            )
            .await
            .unwrap();
        assert_eq!(leases.len(), 1);
        assert_eq!(app.reap(10, LONG_AGO).await.unwrap(), []);
    }
    app.cancel_run(&run.spec.id).await.unwrap();
    let leases = app
        .heartbeat(
            worker_of(&run),
            vec![heartbeat_item(&run, AttemptUpdate::default())],
            Duration::ZERO,
        )
        .await
        .unwrap();
    assert!(leases[&attempt(&run)].cancel_requested);
}

#[tokio::test]
async fn a_waiting_heartbeat_returns_as_soon_as_something_changes() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    trigger(&app, "job", None).await;
    let run = lease(&app, "worker").await;
    let wait = |cancel_acknowledged| {
        let item =
            HeartbeatItem { cancel_acknowledged, ..heartbeat_item(&run, AttemptUpdate::default()) };
        let answer = app.heartbeat(worker_of(&run), vec![item], Duration::from_hours(1));
        tokio::time::timeout(Duration::from_mins(1), answer)
    };

    let (leases, cancelled) = tokio::join!(wait(false), app.cancel_run(&run.spec.id));
    cancelled.unwrap();
    assert!(leases.expect("nothing woke the heartbeat").unwrap()[&attempt(&run)].cancel_requested);

    // A cancellation that the worker knows does not wake it, but the end of its lease does.
    let finish = async {
        app.finish(&holder(&run), Outcome::Cancelled, AttemptUpdate::default()).await.unwrap();
        app.signals().leases_changed.notify_waiters();
    };
    let (leases, ()) = tokio::join!(wait(true), finish);
    assert!(leases.expect("nothing woke the heartbeat").unwrap().is_empty());
}

#[tokio::test]
async fn a_lease_lost_after_a_cancel_ends_the_run_as_cancelled() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    let run = trigger(&app, "job", None).await;
    lease(&app, "worker").await;
    app.cancel_run(&run.spec.id).await.unwrap();
    world.pass(21);

    app.reap(10, LONG_AGO).await.unwrap();

    assert_eq!(app.get_run(&run.spec.id).await.unwrap().state.status, Status::Cancelled);
    assert_eq!(job(&app, "job").await.history.run_count, 1);
}

#[tokio::test]
async fn a_lease_lost_with_its_response_is_delivered_again_a_second_later() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    for _ in 0..3 {
        trigger(&app, "job", None).await;
    }
    let sources = BTreeSet::from(["sample".to_owned()]);
    let lease_two = async |held: &[AttemptId]| {
        let (worker_id, sources, lease) = ("worker", &sources, LEASE);
        let request = LeaseRequest { worker_id, sources, capacity: 2, lease, held };
        app.lease_runs(&request).await.unwrap()
    };
    let leased = lease_two(&[]).await;
    let [one, other] = leased.as_slice() else { panic!("{} runs", leased.len()) };

    // The response may be on its way, so the runs are not lost yet, and no others take their place.
    assert_eq!(lease_two(&[]).await, []);

    world.pass(1);
    assert_eq!(lease_two(&[attempt(one)]).await, std::slice::from_ref(other));
    assert_eq!(lease_two(&[]).await, [one.clone(), other.clone()]);
    assert_eq!(lease_two(&[attempt(one), attempt(other)]).await.len(), 1, "the third run");
}

#[tokio::test]
async fn runs_are_leased_by_priority_and_then_by_age() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    let mut created = Vec::new();
    let order =
        [Priority::Low, Priority::Normal, Priority::Normal, Priority::High, Priority::Immediate];
    for priority in order {
        created.push(trigger(&app, "job", Some(priority)).await.spec.id.clone());
        world.pass(1);
    }

    let leased = lease_many(&app, "worker", 10).await;

    let mut ids: Vec<_> =
        leased.iter().map(|run| (run.spec.rank_at(), run.spec.id.clone())).collect();
    ids.sort();
    let ids: Vec<_> = ids.into_iter().map(|(_, id)| id).collect();
    assert_eq!(ids, [4, 3, 1, 2, 0].map(|index: usize| created.get(index).unwrap().clone()));
}

#[tokio::test]
async fn two_workers_never_lease_the_same_run() {
    let world = World::new().await;
    let (one, other) = (world.app().await, world.app().await);
    create(&one, "job").await;
    for _ in 0..20 {
        trigger(&one, "job", None).await;
    }

    let (a, b) = tokio::join!(lease_many(&one, "a", 20), lease_many(&other, "b", 20));

    let mut ids: Vec<_> = a.into_iter().chain(b).map(|run| run.spec.id.clone()).collect();
    let leased = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!((leased, ids.len()), (20, 20));
}

#[tokio::test]
async fn a_property_counts_once_per_run_across_batches_and_attempts() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    trigger(&app, "job", None).await;
    let first = lease(&app, "first").await;
    let rows = vec![property("a", 1), property("b", 1), property("a", 2)];
    app.submit_properties(&holder(&first), report(0, rows)).await.unwrap();
    world.pass(21);
    app.reap(10, LONG_AGO).await.unwrap();
    world.pass(3_600);
    let second = lease(&app, "second").await;
    let rows = vec![property("a", 3), property("c", 1)];

    app.submit_properties(&holder(&second), report(3, rows)).await.unwrap();

    let ended = complete(&app, &second).await.unwrap();
    assert_eq!(
        ended.state.counts,
        Counts { scraped: 5, saved: 3, updated: 0, skipped: 0, duplicate: 2 }
    );
}

#[tokio::test]
async fn the_next_run_distinguishes_changed_and_unchanged_properties() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    for (rows, expected) in [
        (
            vec![property("a", 1), property("b", 1)],
            Counts { scraped: 2, saved: 2, ..Counts::default() },
        ),
        (
            vec![property("a", 1), property("b", 2), property("c", 1)],
            Counts { scraped: 3, saved: 2, updated: 1, skipped: 1, duplicate: 0 },
        ),
    ] {
        trigger(&app, "job", None).await;
        let run = lease(&app, "worker").await;
        app.submit_properties(&holder(&run), report(0, rows)).await.unwrap();
        let ended = complete(&app, &run).await.unwrap();
        assert_eq!(ended.state.counts, expected);
    }
}

#[tokio::test]
async fn a_repeated_report_counts_once() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    trigger(&app, "job", None).await;
    let run = lease(&app, "worker").await;
    let first = report(0, vec![property("a", 1), property("b", 1)]);
    let second = report(2, vec![property("c", 1)]);

    for sent in [&first, &first, &second, &second] {
        app.submit_properties(&holder(&run), sent.clone()).await.unwrap();
    }
    let out_of_order = app.submit_properties(&holder(&run), first).await.unwrap_err();

    assert!(matches!(out_of_order, AppError::Invalid(_)), "{out_of_order:?}");
    let ended = complete(&app, &run).await.unwrap();
    assert_eq!(
        ended.state.counts,
        Counts { scraped: 3, saved: 3, updated: 0, skipped: 0, duplicate: 0 }
    );
}

#[tokio::test]
async fn ten_runs_that_end_concurrently_are_counted_exactly() {
    let world = World::new().await;
    let apps = join_all((0..10).map(|_| world.app())).await;
    create(&apps[0], "job").await;
    for _ in 0..10 {
        trigger(&apps[0], "job", None).await;
    }
    let leased = lease_many(&apps[0], "worker", 10).await;
    world.pass(1);

    let ends = apps.iter().zip(&leased).map(|(app, run)| complete(app, run));
    try_join_all(ends).await.unwrap();

    assert_eq!(job(&apps[0], "job").await.history.run_count, 10);
}
