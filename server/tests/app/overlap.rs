//! Overlap and catch-up policies: ticks during an active run, and missed ticks.

use std::time::Duration;

use windrow_server::app::App;
use windrow_server::domain::pending_reason::PendingReason;
use windrow_server::domain::run::{Run, Status};
use windrow_server::domain::tick_policy::{CatchUpMode, Overlap};
use windrow_worker::AttemptUpdate;

use crate::support::{
    LONG_AGO, World, at, attempt, complete, create, decide, eventually, heartbeat_item, id, job,
    lease, lease_many, ledger, row, runs, update,
};

async fn with_overlap(app: &App, overlap: Overlap) {
    create(app, "job").await;
    update(app, "job", |draft| draft.ticks.overlap = Some(overlap)).await;
}

async fn pending_reason(app: &App, run: &Run) -> Option<PendingReason> {
    app.pending_reasons(std::slice::from_ref(run)).await.unwrap().pop().flatten()
}

#[tokio::test]
async fn a_queued_run_is_leased_after_the_previous_run_has_ended() {
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

    assert!(lease_many(&app, "worker", 9).await.is_empty(), "the first run is still active");
    let queued = runs(&app, "job").await.remove(0);
    let expected = Some(PendingReason::EarlierRun { run: first.spec.id.clone() });
    assert_eq!(pending_reason(&app, &queued).await, expected);
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
async fn a_queued_run_also_waits_between_attempts_of_the_previous_run() {
    let world = World::new().await;
    let app = world.app().await;
    with_overlap(&app, Overlap::Queue).await;
    world.pass(60);
    decide(&app).await;
    let first = lease(&app, "worker").await;
    world.pass(60);
    decide(&app).await;
    // Its worker has disappeared: the run is pending again, with a delay.
    assert_eq!(app.reap(9, LONG_AGO).await.unwrap().len(), 1);
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
async fn a_tick_can_cancel_the_active_run_and_its_own_run_waits_for_the_end() {
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
        pending_reason(&app, &third).await,
        Some(PendingReason::EarlierRun { run: first.spec.id.clone() })
    );
    assert_eq!(
        job(&app, "job").await.history.run_count,
        1,
        "only the second run has ended, without a start"
    );
    complete(&app, &first).await.unwrap();
    assert_eq!(lease(&app, "worker").await.spec.id, third.spec.id);
}

#[tokio::test]
async fn a_waiting_heartbeat_returns_when_a_tick_cancels_its_run() {
    let world = World::new().await;
    let app = world.app().await;
    with_overlap(&app, Overlap::CancelRunning).await;
    // A long lease, because a heartbeat also returns to extend an expiring one.
    update(&app, "job", |draft| draft.policy.lease_duration = Some(Duration::from_mins(10))).await;
    world.pass(60);
    decide(&app).await;
    let run = lease(&app, "worker").await;
    world.pass(60);
    let item = heartbeat_item(&run, AttemptUpdate::default());
    let worker = run.state.lease.as_ref().unwrap().worker_id.clone();
    let heartbeat = app.heartbeat(&worker, vec![item], Duration::from_hours(1));

    let (answer, _) =
        tokio::join!(tokio::time::timeout(Duration::from_mins(1), heartbeat), async {
            // A heartbeat records its worker after it has read the leases: from then on only a signal
            // can end it.
            eventually("the heartbeat waits", async || {
                let seen = "select 1 from worker where worker_id = $1 and seen_at = $2";
                let seen = sqlx::query_scalar::<_, i32>(seen).bind(&worker).bind(app.now());
                seen.fetch_optional(&world.pool).await.unwrap()
            })
            .await;
            decide(&app).await
        });

    assert!(answer.expect("nothing woke the heartbeat").unwrap()[&attempt(&run)].cancel_requested);
}

#[tokio::test]
async fn catch_up_can_run_all_missed_ticks_within_limit_and_window() {
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
async fn a_prediction_says_what_the_overlap_policy_leaves_of_catch_up() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    update(&app, "job", |draft| draft.ticks.catch_up.mode = Some(CatchUpMode::All)).await;
    let explain = async |time: &str| app.explain_tick(&id("job"), at(time)).await.unwrap();

    let coming = explain("2026-01-01T00:32:00Z").await;
    world.pass(3 * 60);
    let fired = decide(&app).await;

    let said =
        "(all) applies: at most one of the missed ticks creates a run, and the others are skipped";
    assert!(coming.depends_on[1].ends_with(said), "{:?}", coming.depends_on);
    assert_eq!(fired.len(), 1);
    let skipped = explain("2026-01-01T00:32:00Z").await.text;
    let reason = format!("No run was created: run {} of an earlier tick was unfinished.", fired[0]);
    assert!(skipped.starts_with(&reason), "{skipped}");
}

#[tokio::test]
async fn jitter_delays_the_start_of_a_run_and_is_recorded() {
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
