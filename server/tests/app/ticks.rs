//! Each tick is decided once, by any number of servers and after any clock step.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::TimeDelta;
use futures::future::join_all;
use windrow_server::app::HeldTicks;
use windrow_server::domain::scheduled_job::{SettingsDraft, Status};
use windrow_server::domain::tick_policy::Overlap;
use windrow_server::engine::Scheduler;

use crate::support::{
    World, at, complete, create, decide, id, job, lease, ledger, row, runs, trigger, update,
};

#[tokio::test]
async fn ten_servers_create_one_run_per_tick() {
    let world = World::new().await;
    let apps = join_all((0..10).map(|_| world.app())).await;
    for name in ["a", "b", "c"] {
        create(&apps[0], name).await;
    }
    for minute in 1..=5 {
        world.pass(60);
        let fired = join_all(apps.iter().map(decide)).await.concat();
        // A server that found a schedule locked has to try again.
        let rest = join_all(apps.iter().map(decide)).await.concat();
        let distinct: BTreeSet<_> = fired.iter().chain(&rest).collect();
        assert_eq!((fired.len() + rest.len(), distinct.len()), (3, 3), "minute {minute}");
        for _ in 0..3 {
            complete(&apps[0], &lease(&apps[0], "worker").await).await.unwrap();
        }
    }
    assert_eq!(job(&apps[0], "a").await.history.run_count, 5);
}

#[tokio::test]
async fn missed_ticks_are_merged_into_the_latest_one() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    world.pass(5 * 60);

    assert_eq!(decide(&app).await.len(), 1);

    let expected = [row("00:31", "00:34", "merged"), row("00:35", "00:35", "fired")];
    assert_eq!(ledger(&world.pool, "job").await, expected);
    let made = runs(&app, "job").await;
    assert_eq!(made[0].spec.tick_at, Some(at("2026-01-01T00:35:00Z")));
    assert_eq!(job(&app, "job").await.gate.next_tick_at, Some(at("2026-01-01T00:36:00Z")));
}

#[tokio::test]
async fn a_tick_is_skipped_while_the_run_of_the_previous_tick_is_active() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    world.pass(60);
    decide(&app).await;
    let run = lease(&app, "worker").await;
    world.pass(60);
    assert_eq!(decide(&app).await.len(), 0);
    complete(&app, &run).await.unwrap();
    world.pass(60);
    assert_eq!(decide(&app).await.len(), 1);

    let expected = [
        row("00:31", "00:31", "fired"),
        row("00:32", "00:32", "skipped_overlap"),
        row("00:33", "00:33", "fired"),
    ];
    assert_eq!(ledger(&world.pool, "job").await, expected);
}

#[tokio::test]
async fn a_trigger_neither_moves_the_schedule_nor_causes_a_skipped_tick() {
    let world = World::new().await;
    let app = world.app().await;
    let before = create(&app, "job").await;
    trigger(&app, "job", None).await;
    let run = lease(&app, "worker").await;
    assert_eq!(job(&app, "job").await.gate, before.gate);
    world.pass(60);

    assert_eq!(decide(&app).await.len(), 1, "an active triggered run must not cause a skip");

    complete(&app, &run).await.unwrap();
    let after = job(&app, "job").await;
    assert_eq!(after.gate.next_tick_at, Some(at("2026-01-01T00:32:00Z")));
    assert_eq!(after.history.run_count, 1);
}

#[tokio::test]
async fn a_clock_that_steps_back_decides_no_tick_again() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    world.pass(120);
    assert_eq!(decide(&app).await.len(), 1);
    let before = (job(&app, "job").await.gate, ledger(&world.pool, "job").await);

    world.clock.advance(TimeDelta::hours(-2));
    assert_eq!(decide(&app).await.len(), 0);
    world.clock.advance(TimeDelta::hours(2));
    assert_eq!(decide(&app).await.len(), 0);

    assert_eq!((job(&app, "job").await.gate, ledger(&world.pool, "job").await), before);
}

#[tokio::test]
async fn ticks_during_a_pause_are_recorded_but_not_run() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    app.pause_scheduled_job(&id("job"), "repairs".to_owned(), None, "Ann").await.unwrap();
    assert_eq!(job(&app, "job").await.gate.next_tick_at, None);
    world.pass(10 * 60);
    assert_eq!(decide(&app).await.len(), 0);

    let resumed = app.resume_scheduled_job(&id("job"), HeldTicks::Record, "Ann").await.unwrap();

    assert_eq!(resumed.gate.status, Status::Active);
    assert_eq!(resumed.gate.next_tick_at, Some(at("2026-01-01T00:41:00Z")));
    assert_eq!(ledger(&world.pool, "job").await, [row("00:31", "00:40", "paused")]);
    world.pass(30);
    assert_eq!(decide(&app).await.len(), 1);
}

#[tokio::test]
async fn a_pause_ends_at_its_end_time() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    let until = Some(at("2026-01-01T00:33:30Z"));
    app.pause_scheduled_job(&id("job"), "repairs".to_owned(), until, "Ann").await.unwrap();
    world.pass(5 * 60);

    assert_eq!(decide(&app).await.len(), 1);

    let job = job(&app, "job").await;
    assert_eq!((job.gate.status, job.gate.paused_until), (Status::Active, None));
    let expected = [
        row("00:31", "00:33", "paused"),
        row("00:34", "00:34", "merged"),
        row("00:35", "00:35", "fired"),
    ];
    assert_eq!(ledger(&world.pool, "job").await, expected);
}

#[tokio::test]
async fn an_update_first_decides_due_ticks_under_the_old_settings() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    world.pass(60);

    let job = update(&app, "job", |draft| draft.cron_expression = "0 * * * *".to_owned()).await;

    assert_eq!(ledger(&world.pool, "job").await, [row("00:31", "00:31", "fired")]);
    assert_eq!(job.gate.next_tick_at, Some(at("2026-01-01T01:00:00Z")));
}

#[tokio::test]
async fn an_invalid_job_does_not_stop_the_others_and_reports_its_problem() {
    let corruptions = [
        ("cron_expression", "cron_expression = 'nonsense'"),
        ("timezone", "timezone = 'Mars/Olympus'"),
        ("parameters", r#"parameters = '{"locations": 7}'"#),
        ("policy", r#"policy = '{"max_attempts": "many"}'"#),
        ("catch_up", r#"tick_policy = '{"overlap": "maybe"}'"#),
        ("labels", "labels = '[]'"),
    ];
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "good").await;
    for (field, set) in corruptions {
        let name = field.replace('_', "-");
        create(&app, &name).await;
        let corrupt = format!("update scheduled_job set {set} where scheduled_job_id = $1");
        sqlx::query(sqlx::AssertSqlSafe(corrupt)).bind(&name).execute(&world.pool).await.unwrap();
    }
    world.pass(60);

    let report = app.decide_due(&[], 100).await.unwrap();

    assert_eq!((report.failed.len(), report.fired.len()), (corruptions.len(), 1), "{report:?}");
    assert_eq!(runs(&app, "good").await.len(), 1);
    for (field, _) in corruptions {
        let bad = job(&app, &field.replace('_', "-")).await;
        assert_eq!(bad.problems[0].field, field, "{:?}", bad.problems);
        assert_eq!(bad.gate.next_tick_at, None, "{field}");
    }
    let repair = |draft: &mut SettingsDraft| draft.cron_expression = "@daily".to_owned();
    let repaired = update(&app, "cron-expression", repair).await;
    assert!(repaired.problems.is_empty());
    assert_eq!(repaired.gate.next_tick_at, Some(at("2026-01-02T00:00:00Z")));
}

#[tokio::test]
async fn two_passes_share_many_due_ticks_and_decide_each_once() {
    let world = World::new().await;
    let app = Arc::new(world.app().await);
    for number in 0..250 {
        create(&app, &format!("job{number}")).await;
    }
    world.pass(60);
    let mut scheduler = Scheduler::new(Arc::clone(&app));
    let mut decided = Vec::new();
    for _ in 0..3 {
        decided.push(scheduler.tick().await.unwrap().fired.len());
    }
    assert_eq!(decided, [100, 150, 0], "one pass, two passes, none");
    let runs: i64 = sqlx::query_scalar("select count(distinct scheduled_job_id) from scraping_job")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(runs, 250);
}

/// The database's clock was ahead for a while: what was decided then is taken back by a Resume, and no tick
/// fires twice.
#[tokio::test]
async fn a_job_that_was_decided_by_a_clock_that_was_ahead_is_repaired_by_a_resume() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    update(&app, "job", |draft| draft.ticks.overlap = Some(Overlap::Allow)).await;
    world.pass(20 * 60);
    assert_eq!(decide(&app).await.len(), 1);
    world.pass(-20 * 60);
    assert_eq!(app.check_jobs_ahead().await.unwrap(), 1);
    world.pass(60);
    assert_eq!(decide(&app).await.len(), 0, "the job waits");

    let job = app.resume_scheduled_job(&id("job"), HeldTicks::Record, "me").await.unwrap();

    assert_eq!(job.gate.next_tick_at, Some(at("2026-01-01T00:32:00Z")));
    assert_eq!(app.check_jobs_ahead().await.unwrap(), 0);
    for minute in 32..=55 {
        world.pass(60);
        assert_eq!(decide(&app).await.len(), usize::from(minute != 50), "minute {minute}");
    }
    let mut expected = vec![row("00:31", "00:31", "merged")];
    expected.extend(
        (32..=55).map(|minute| row(&format!("00:{minute}"), &format!("00:{minute}"), "fired")),
    );
    assert_eq!(ledger(&world.pool, "job").await, expected);
}

#[tokio::test]
async fn an_update_repairs_a_job_that_was_decided_by_a_clock_that_was_ahead() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    update(&app, "job", |draft| draft.ticks.overlap = Some(Overlap::Allow)).await;
    world.pass(20 * 60);
    decide(&app).await;
    world.pass(-20 * 60);

    let job = update(&app, "job", |_unchanged| {}).await;

    assert_eq!(job.gate.next_tick_at, Some(at("2026-01-01T00:31:00Z")));
    world.pass(25 * 60);
    assert_eq!(decide(&app).await.len(), 1);
    let fired = ledger(&world.pool, "job").await;
    let fired: Vec<_> = fired.into_iter().filter(|(_, _, decision)| decision == "fired").collect();
    assert_eq!(fired, [row("00:50", "00:50", "fired"), row("00:55", "00:55", "fired")]);
}
