//! Calls that share transactions: each has its own result, and none waits for the locks of another.

use std::time::Duration;

use futures::future::{join, join_all};
use serde_json::Map;
use sqlx::{Postgres, Transaction};
use tokio::time::timeout;
use windrow_server::app::{App, AppError, IdempotencyKey, Mode};
use windrow_server::domain::run::{Counts, Run, Status};
use windrow_worker::{AttemptUpdate, Outcome, Property, Report, ScrapedProperty};

use crate::support::{
    LEASE, World, attempt, create, done, heartbeat_item, holder, lease_many, trigger, trigger_of,
    worker_of,
};

/// Longer than any call needs that waits for nothing.
const SOON: Duration = Duration::from_secs(20);
const BOTH: [&str; 2] = ["Indianapolis, IN", "Carmel, IN"];

async fn lock(world: &World, rows: &'static str) -> Transaction<'static, Postgres> {
    let mut tx = world.pool.begin().await.unwrap();
    let locked = sqlx::query(rows).execute(&mut *tx).await.unwrap();
    assert_eq!(locked.rows_affected(), 1);
    tx
}

async fn world_with_jobs() -> (World, App) {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "free").await;
    create(&app, "locked").await;
    (world, app)
}

#[tokio::test]
async fn a_locked_job_delays_its_own_triggers_only() {
    let (world, app) = world_with_jobs().await;
    let lock =
        lock(&world, "select from scheduled_job where scheduled_job_id = 'locked' for update")
            .await;
    let mut waiting = Box::pin(trigger(&app, "locked", None));
    let free = join_all((0..20).map(|_| trigger(&app, "free", None)));
    tokio::select! {
        run = &mut waiting => panic!("run {} was created under the lock", run.spec.id),
        runs = timeout(SOON, free) => assert_eq!(runs.unwrap().len(), 20),
    }
    lock.rollback().await.unwrap();
    let run = timeout(SOON, waiting).await.unwrap();
    assert_eq!(run.spec.scheduled_job_id.as_ref().unwrap().as_str(), "locked");
}

/// A lock that creations cannot skip: an earlier call with the request id is in progress.
#[tokio::test]
async fn a_request_id_in_progress_delays_its_own_call_only() {
    let (world, app) = world_with_jobs().await;
    let lock = lock(
        &world,
        "insert into request (principal, method, request_id, payload_hash, made_id, created_at)
         values ('one', 'TriggerJob', 'same', '', '', now())",
    )
    .await;
    let mut repeated = trigger_of("free", None);
    repeated.idempotency_key = Some(IdempotencyKey {
        principal: "one".to_owned(),
        method: "TriggerJob",
        request_id: "same".to_owned(),
        payload_hash: Vec::new(),
    });
    let mut waiting = Box::pin(app.trigger(repeated, Mode::Commit));
    let free = join_all((0..20).map(|_| trigger(&app, "free", None)));
    tokio::select! {
        answer = &mut waiting => panic!("answered under the lock: {answer:?}"),
        runs = timeout(SOON, free) => assert_eq!(runs.unwrap().len(), 20),
    }
    lock.rollback().await.unwrap();
    let run = timeout(SOON, waiting).await.unwrap().unwrap().run;
    assert_eq!(run.state.status, Status::Pending);
}

/// Ends the runs of two jobs while a row of the one is locked.
async fn end_under(lock_row: &'static str) {
    let (world, app) = world_with_jobs().await;
    trigger(&app, "locked", None).await;
    join_all((0..20).map(|_| trigger(&app, "free", None))).await;
    let runs = lease_many(&app, "worker", 21).await;
    let lock = lock(&world, lock_row).await;
    let job = |run: &Run| run.spec.scheduled_job_id.clone().unwrap();
    let (slow, others): (Vec<_>, Vec<_>) =
        runs.iter().partition(|run| job(run).as_str() == "locked");
    let finish = async |run| app.finish(&holder(run), Outcome::Done, done(&BOTH)).await.unwrap();
    let mut waiting = Box::pin(join_all(slow.into_iter().map(finish)));
    let free = join_all(others.into_iter().map(finish));
    tokio::select! {
        _ = &mut waiting => panic!("the run ended under the lock"),
        ended = timeout(SOON, free) => assert_eq!(ended.unwrap().len(), 20),
    }
    lock.rollback().await.unwrap();
    let ended = timeout(SOON, waiting).await.unwrap();
    assert_eq!(ended.first().unwrap().state.status, Status::Completed);
}

#[tokio::test]
async fn a_locked_run_delays_its_own_end_only() {
    end_under("select from scraping_job where scheduled_job_id = 'locked' for update").await;
}

/// Nothing skips the lock of a history, which every end of a run of the job needs.
#[tokio::test]
async fn a_locked_history_delays_the_ends_of_its_job_only() {
    end_under("select from scheduled_job_history where scheduled_job_id = 'locked' for update")
        .await;
}

#[tokio::test]
async fn a_locked_run_costs_no_other_run_of_its_worker_its_lease() {
    let (world, app) = world_with_jobs().await;
    let locked = trigger(&app, "locked", None).await;
    join_all((0..20).map(|_| trigger(&app, "free", None))).await;
    let runs = lease_many(&app, "worker", 21).await;
    // Every lease is due for its extension.
    world.pass(10);
    let lock =
        lock(&world, "select from scraping_job where scheduled_job_id = 'locked' for update").await;
    let beat = async |update: AttemptUpdate| {
        let items = runs.iter().map(|run| heartbeat_item(run, update.clone())).collect();
        let beat = app.heartbeat(worker_of(&runs[0]), items, Duration::ZERO);
        timeout(SOON, beat).await.expect("the heartbeat waits for the lock").unwrap()
    };
    for update in [AttemptUpdate::default(), done(&["Carmel, IN"])] {
        let leases = beat(update.clone()).await;
        for run in &runs {
            let (lease, is_locked) = (leases[&attempt(run)], run.spec.id == locked.spec.id);
            assert_eq!(lease.expires_in, if is_locked { LEASE / 2 } else { LEASE });
            assert_eq!(lease.update_pending, is_locked && !update.is_empty());
        }
    }
    lock.rollback().await.unwrap();
    let leases = beat(done(&["Carmel, IN"])).await;
    assert!(leases.values().all(|lease| lease.expires_in == LEASE && !lease.update_pending));
    let run = app.get_run(&locked.spec.id).await.unwrap();
    assert_eq!(run.state.progress.completed_locations(), 1);
}

/// A lock that reports cannot skip, because they need the row.
#[tokio::test]
async fn a_locked_property_delays_its_own_reports_only() {
    let (world, app) = world_with_jobs().await;
    join_all((0..21).map(|_| trigger(&app, "free", None))).await;
    let runs = lease_many(&app, "worker", 21).await;
    let submit = async |(run, id, before): (&Run, &str, i64)| {
        let property = Property::new(id, Map::from_iter([("before".to_owned(), before.into())]));
        let row = ScrapedProperty { location: String::new(), property };
        let report = Report { scraped_before: before, properties: vec![row], ..Report::default() };
        app.submit_properties(&holder(run), report).await.unwrap().state.counts
    };
    submit((&runs[0], "locked", 0)).await;
    let lock = lock(&world, "select from property where property_id = 'locked' for update").await;
    let mut waiting = Box::pin(submit((&runs[1], "locked", 0)));
    let free = join_all(runs[2..].iter().map(|run| submit((run, run.spec.id.as_str(), 0))));
    tokio::select! {
        _ = &mut waiting => panic!("the report was saved under the lock"),
        saved = timeout(SOON, free) => assert_eq!(saved.unwrap().len(), 19),
    }
    lock.rollback().await.unwrap();
    assert_eq!(timeout(SOON, waiting).await.unwrap().skipped, 1);
}

#[tokio::test]
async fn reports_of_one_batch_fail_alone_and_see_each_other() {
    let (_world, app) = world_with_jobs().await;
    join_all((0..4).map(|_| trigger(&app, "free", None))).await;
    let runs = lease_many(&app, "worker", 4).await;
    let submit = async |run: &Run, price: i64, before: i64, bytes: usize| {
        let body =
            [("price".to_owned(), price.into()), ("text".to_owned(), "x".repeat(bytes).into())];
        let property = Property::new("same", Map::from_iter(body));
        let row = ScrapedProperty { location: String::new(), property };
        let report = Report { scraped_before: before, properties: vec![row], ..Report::default() };
        app.submit_properties(&holder(run), report).await.map(|run| run.state.counts)
    };
    let [one, two, wrong, large] = [&runs[0], &runs[1], &runs[2], &runs[3]];
    let (one, two, wrong, large) = futures::join!(
        submit(one, 1, 0, 1),
        submit(two, 1, 0, 1),
        submit(wrong, 1, 5, 1),
        submit(large, 2, 0, 500_000),
    );
    assert!(matches!(wrong.unwrap_err(), AppError::Invalid(_)));
    let total =
        [one, two, large].into_iter().map(Result::unwrap).fold(Counts::default(), |a, b| a + b);
    assert_eq!((total.scraped, total.saved - total.updated, total.duplicate), (3, 1, 0));
    assert!((1..=2).contains(&total.updated), "{total:?}");
}

#[tokio::test]
async fn an_invalid_call_fails_alone() {
    let (_world, app) = world_with_jobs().await;
    trigger(&app, "free", None).await;
    trigger(&app, "free", None).await;
    let runs = lease_many(&app, "worker", 2).await;
    let [one, other] = runs.as_slice() else { panic!("two runs") };
    let (one, other) = (holder(one), holder(other));
    let nothing = app.finish(&one, Outcome::Done, AttemptUpdate::default());
    let everything = app.finish(&other, Outcome::Done, done(&BOTH));
    let (nothing, everything) = join(nothing, everything).await;
    assert!(matches!(nothing.unwrap_err(), AppError::Invalid(_)));
    assert_eq!(everything.unwrap().state.status, Status::Completed);
    let missing = app.trigger(trigger_of("missing", None), Mode::Commit);
    let (missing, found) = join(missing, app.trigger(trigger_of("free", None), Mode::Commit)).await;
    assert!(matches!(missing.unwrap_err(), AppError::JobNotFound(_)));
    assert_eq!(found.unwrap().run.state.status, Status::Pending);
}

#[tokio::test]
async fn concurrent_calls_with_one_request_id_create_one_run() {
    let (_world, app) = world_with_jobs().await;
    let call = |payload: &str| {
        let mut trigger = trigger_of("free", None);
        trigger.idempotency_key = Some(IdempotencyKey {
            principal: "one".to_owned(),
            method: "TriggerJob",
            request_id: "same".to_owned(),
            payload_hash: payload.as_bytes().to_vec(),
        });
        app.trigger(trigger, Mode::Commit)
    };
    let same = join_all((0..10).map(|_| call("same")));
    let (created, other) = join(same, call("other")).await;
    let ids: Vec<_> = created.into_iter().map(|run| run.unwrap().run.spec.id.clone()).collect();
    assert!(ids.iter().all(|id| Some(id) == ids.first()), "{ids:?}");
    assert!(matches!(other.unwrap_err(), AppError::RequestIdReused(_)));
}
