//! Ticks that come while an earlier run goes on, and ticks that nobody decided in time.

use std::time::Duration;

use windrow_server::app::App;
use windrow_server::domain::run::{Run, Status};
use windrow_server::domain::tick_policy::{CatchUpMode, Overlap};
use windrow_server::domain::wait::PendingReason;
use windrow_worker::AttemptUpdate;

use crate::support::{
    World, attempt, complete, create, decide, heartbeat_item, job, lease, lease_many, ledger, row,
    runs, update,
};

async fn with_overlap(app: &App, overlap: Overlap) {
    create(app, "job").await;
    update(app, "job", |draft| draft.ticks.overlap = Some(overlap)).await;
}

async fn waits_of(app: &App, run: &Run) -> Option<PendingReason> {
    app.waits(std::slice::from_ref(run)).await.unwrap().pop().flatten()
}

#[tokio::test]
async fn a_queued_run_begins_when_the_one_before_has_ended() {
    let world = World::new().await;
    let app = world.app().await;
    with_overlap(&app, Overlap::Queue).await;
    world.pass(60);
    decide(&app).await;
    let first = lease(&app, "worker").await;
    world.pass(60);
    decide(&app).await;
    world.pass(60);
    decide(&app).await;

    assert!(lease_many(&app, "worker", 9).await.is_empty(), "the first run goes on");
    let queued = runs(&app, "job").await.remove(0);
    let expected = Some(PendingReason::EarlierRun { run: first.spec.id.clone() });
    assert_eq!(waits_of(&app, &queued).await, expected);
    complete(&app, &first).await.unwrap();
    let second = lease(&app, "worker").await;

    assert_eq!(second.spec.id, queued.spec.id);
    let expected = [
        row("00:31", "00:31", "fired"),
        row("00:32", "00:32", "fired"),
        row("00:33", "00:33", "queue_full"),
    ];
    assert_eq!(ledger(&world.pool, "job").await, expected);
}

#[tokio::test]
async fn a_queued_run_also_waits_while_the_one_before_is_between_attempts() {
    let world = World::new().await;
    let app = world.app().await;
    with_overlap(&app, Overlap::Queue).await;
    world.pass(60);
    decide(&app).await;
    let first = lease(&app, "worker").await;
    world.pass(60);
    decide(&app).await;
    // Its worker is gone; the run is pending again, and not available at once.
    assert_eq!(app.reap(9).await.unwrap().len(), 1);
    assert!(lease_many(&app, "worker", 9).await.is_empty());
    world.pass(5);
    let again = lease_many(&app, "worker", 9).await;
    assert_eq!(again.iter().map(|run| &run.spec.id).collect::<Vec<_>>(), [&first.spec.id]);
}

#[tokio::test]
async fn runs_may_overlap_when_the_job_allows_it() {
    let world = World::new().await;
    let app = world.app().await;
    with_overlap(&app, Overlap::Allow).await;
    for _ in 0..3 {
        world.pass(60);
        decide(&app).await;
    }
    assert_eq!(lease_many(&app, "worker", 9).await.len(), 3);
}

#[tokio::test]
async fn a_tick_can_cancel_what_goes_on_and_waits_for_its_end() {
    let world = World::new().await;
    let app = world.app().await;
    with_overlap(&app, Overlap::CancelRunning).await;
    world.pass(60);
    decide(&app).await;
    lease(&app, "worker").await;
    world.pass(60);
    decide(&app).await;
    world.pass(60);
    decide(&app).await;

    let [third, second, first] = <[Run; 3]>::try_from(runs(&app, "job").await).unwrap();

    assert_eq!((first.state.status, second.state.status), (Status::Running, Status::Cancelled));
    assert!(first.state.cancel_requested_at.is_some());
    assert_eq!(
        waits_of(&app, &third).await,
        Some(PendingReason::EarlierRun { run: first.spec.id.clone() })
    );
    assert_eq!(job(&app, "job").await.history.run_count, 1, "the second one never began");
    complete(&app, &first).await.unwrap();
    assert_eq!(lease(&app, "worker").await.spec.id, third.spec.id);
}

#[tokio::test]
async fn a_worker_that_waits_hears_at_once_that_a_tick_cancels_its_run() {
    let world = World::new().await;
    let app = world.app().await;
    with_overlap(&app, Overlap::CancelRunning).await;
    // No heartbeat has to extend it, which would be an answer too.
    update(&app, "job", |draft| draft.policy.lease_duration = Some(Duration::from_mins(10))).await;
    world.pass(60);
    decide(&app).await;
    let run = lease(&app, "worker").await;
    world.pass(60);
    let item = heartbeat_item(&run, AttemptUpdate::default());
    let answer = app.heartbeat("worker", vec![item], Duration::from_hours(1));

    let (answer, _) = tokio::join!(tokio::time::timeout(Duration::from_mins(1), answer), async {
        // Nothing tells when it waits; too early would only make the test easier.
        tokio::time::sleep(Duration::from_millis(300)).await;
        decide(&app).await
    });

    assert!(answer.expect("nothing woke it").unwrap()[&attempt(&run)].cancel_requested);
}

#[tokio::test]
async fn all_missed_ticks_are_made_up_for_one_after_the_other() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    update(&app, "job", |draft| {
        draft.ticks.overlap = Some(Overlap::Allow);
        draft.ticks.catch_up.mode = Some(CatchUpMode::All);
        draft.ticks.catch_up.limit = Some(2);
        draft.ticks.catch_up.window = Some(Duration::from_mins(4));
        draft.max_concurrent_runs = 1;
    })
    .await;
    world.pass(6 * 60);

    assert_eq!(decide(&app).await.len(), 2);

    let expected = [
        row("00:31", "00:32", "outside_window"),
        row("00:33", "00:34", "missed"),
        row("00:35", "00:35", "fired"),
        row("00:36", "00:36", "fired"),
    ];
    assert_eq!(ledger(&world.pool, "job").await, expected);
    assert_eq!(lease_many(&app, "worker", 9).await.len(), 1);
}

#[tokio::test]
async fn jitter_lets_a_run_begin_later_and_is_recorded() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    update(&app, "job", |draft| draft.ticks.jitter = Some(Duration::from_secs(50))).await;
    world.pass(30);
    decide(&app).await;
    let run = runs(&app, "job").await.remove(0);
    let tick = run.spec.tick_at.unwrap();

    assert!(
        run.state.available_at > tick
            && run.state.available_at <= tick + chrono::TimeDelta::seconds(50)
    );
    assert!(lease_many(&app, "worker", 9).await.is_empty());
    world.pass(50);
    assert_eq!(lease(&app, "worker").await.spec.id, run.spec.id);
    let recorded: chrono::DateTime<chrono::Utc> =
        sqlx::query_scalar("select starts_at from tick").fetch_one(&world.pool).await.unwrap();
    assert_eq!(recorded, run.state.available_at);
}
