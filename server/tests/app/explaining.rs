//! Explanations of ticks and of pending runs, backfills, and the retention of the ledger.

use windrow_server::app::{
    App, AppError, Backfill, Backfilled, Explanation, HeldTicks, IdempotencyKey, Mode, Preview,
    Previewed, TickState, Ticks,
};
use windrow_server::domain::pending_reason::PendingReason;
use windrow_server::domain::run::{Event, Origin, Run};
use windrow_server::domain::scheduled_job::ScheduledJob;
use windrow_server::domain::tick::Decision;

use crate::support::{
    LONG_AGO, World, at, create, decide, id, job, lease, ledger, row, runs, trigger, update,
};

async fn explain(app: &App, time: &str) -> Explanation {
    app.explain_tick(&id("job"), at(&format!("2026-01-01T{time}Z"))).await.unwrap()
}

fn backfill(from: &str, to: &str, request_id: Option<&str>) -> Backfill {
    Backfill {
        job: id("job"),
        start: at(&format!("2026-01-01T{from}Z")),
        end: at(&format!("2026-01-01T{to}Z")),
        priority: None,
        requested_by: "Ann".to_owned(),
        idempotency_key: request_id.map(|request_id| IdempotencyKey {
            principal: "Ann".to_owned(),
            method: "BackfillScheduledJob",
            request_id: request_id.to_owned(),
            payload_hash: vec![1],
        }),
    }
}

#[tokio::test]
async fn a_past_instant_is_explained_under_the_settings_of_that_time() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    world.pass(60);
    let run = decide(&app).await.remove(0);
    world.pass(60);
    decide(&app).await;
    app.pause_scheduled_job(&id("job"), "repairs".to_owned(), None, "Ann").await.unwrap();
    world.pass(120);
    update(&app, "job", |draft| draft.cron_expression = "*/5 * * * *".to_owned()).await;
    app.resume_scheduled_job(&id("job"), HeldTicks::Record, "Bob").await.unwrap();
    world.pass(60);

    let fired = explain(&app, "00:31:00").await;
    assert_eq!(fired.state, TickState::Decided);
    assert!(fired.text.contains(&run) && fired.text.contains(app.server()), "{}", fired.text);
    assert!(fired.text.contains("30s after the tick"), "{}", fired.text);
    assert_eq!(fired.run.unwrap().spec.id.as_str(), run);
    assert_eq!(fired.revision.unwrap().job.revision, 1);

    let skipped = explain(&app, "00:32:00").await;
    let entry = skipped.entry.unwrap();
    assert_eq!(entry.decided.decision, Decision::SkippedOverlap);
    assert_eq!(entry.decided.blocking.unwrap().as_str(), run);

    let paused = explain(&app, "00:33:00").await;
    assert!(paused.text.contains("the job was paused"), "{}", paused.text);
    let revision = paused.revision.unwrap();
    assert_eq!(
        (revision.changed_by.as_str(), revision.job.gate.pause_reason.as_str()),
        ("Ann", "repairs")
    );

    // This minute was due under the old expression only.
    let not_due = explain(&app, "00:35:30").await;
    assert_eq!(not_due.state, TickState::NotATick);
    assert!(not_due.text.contains("*/5 * * * *"), "{}", not_due.text);
    assert_eq!(not_due.next, Some(at("2026-01-01T00:40:00Z")));
    assert_eq!(explain(&app, "00:33:30").await.state, TickState::NotATick);

    assert_eq!(explain(&app, "00:35:00").await.state, TickState::Due);
    assert_eq!(explain(&app, "00:30:00").await.state, TickState::BeforeCreation);
}

#[tokio::test]
async fn a_tick_before_the_import_of_its_job_is_not_called_decided() {
    let world = World::new().await;
    let app = world.app().await;
    let new = create(&app, "job").await;
    let old = ScheduledJob { id: id("old"), created_at: at("2025-12-01T00:00:00Z"), ..new };
    let imported = old.run_of_tick(Origin::Scheduled, at("2026-01-01T00:10:00Z"));
    let imported = Run::new(imported, at("2026-01-01T00:10:00Z"), 7);
    let imported = imported.apply(Event::CancelRequested, at("2026-01-01T00:10:01Z")).unwrap();
    let run = imported.spec.id.to_string();
    app.import_scheduled_jobs(&[(old, None)], Mode::Commit).await.unwrap();
    app.import_runs(vec![imported], &mut Ticks::new(), Mode::Commit).await.unwrap();
    let explain = async |time: &str| app.explain_tick(&id("old"), at(time)).await.unwrap();

    let before_import = explain("2026-01-01T00:20:00Z").await;
    let before_creation = explain("2025-11-01T00:00:00Z").await;

    assert_eq!(before_import.state, TickState::BeforeCreation);
    let expected = "it was imported at 2026-01-01T00:30:30Z";
    assert!(before_import.text.contains(expected), "{}", before_import.text);
    assert!(before_import.run.is_none(), "{before_import:?}");
    let with_run = explain("2026-01-01T00:10:00Z").await;
    assert!(with_run.text.ends_with(&format!(" Its run is {run}.")), "{}", with_run.text);
    assert_eq!(with_run.run.map(|run| run.spec.id.to_string()), Some(run));
    assert_eq!(before_creation.state, TickState::BeforeCreation);
    let expected = "it was created at 2025-12-01T00:00:00Z";
    assert!(before_creation.text.contains(expected), "{}", before_creation.text);
    world.pass(60);
    assert_eq!(explain("2026-01-01T00:31:00Z").await.state, TickState::Due);
}

#[tokio::test]
async fn the_end_of_computed_ticks_is_said() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    let last = "ticks are computed up to the end of the year 2100";

    let far = app.explain_tick(&id("job"), at("9999-01-01T00:00:00Z")).await.unwrap();
    let preview = async |after: &str, count: usize| {
        let preview = app.preview_ticks(Preview::Job(id("job")), Some(at(after)), count).await;
        let Previewed { ticks, warnings, .. } = preview.unwrap();
        (ticks.len(), warnings)
    };

    assert_eq!((far.state, far.next), (TickState::NotATick, None));
    assert!(far.text.contains(last), "{}", far.text);
    assert_eq!(preview("9999-12-30T00:00:00Z", 10).await, (0, vec![last.to_owned()]));
    assert_eq!(preview("2100-12-31T23:57:30Z", 10).await, (2, vec![last.to_owned()]));
    assert_eq!(preview("2100-12-31T23:57:30Z", 2).await, (2, Vec::new()));
    let near = app.explain_tick(&id("job"), at("2026-01-01T00:40:30Z")).await.unwrap();
    assert!(!near.text.contains(last), "{}", near.text);
}

#[tokio::test]
async fn a_future_instant_is_explained_with_its_conditions() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    world.pass(60);
    decide(&app).await;
    let run = lease(&app, "worker").await;

    let coming = explain(&app, "01:00:00").await;

    assert_eq!((coming.state, coming.text.as_str()), (TickState::Future, "A run will be created."));
    assert!(coming.depends_on[0].contains(run.spec.id.as_str()), "{:?}", coming.depends_on);
    assert_eq!(coming.depends_on.len(), 3, "{:?}", coming.depends_on);
    let until = Some(at("2026-01-01T02:00:00Z"));
    app.pause_scheduled_job(&id("job"), "repairs".to_owned(), until, "Ann").await.unwrap();
    let paused = explain(&app, "01:00:00").await.text;
    assert_eq!(
        paused,
        "No run will be created: the job is paused until 2026-01-01T02:00:00Z (repairs)."
    );
    assert_eq!(explain(&app, "03:00:00").await.text, "A run will be created.");
}

#[tokio::test]
async fn a_pause_that_ends_at_its_end_time_is_a_revision() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    let until = at("2026-01-01T00:33:30Z");
    app.pause_scheduled_job(&id("job"), "repairs".to_owned(), Some(until), "Ann").await.unwrap();
    world.pass(5 * 60);
    decide(&app).await;

    let paused = explain(&app, "00:33:00").await.revision.unwrap();
    let fired = explain(&app, "00:35:00").await.revision.unwrap();

    assert_eq!((paused.job.revision, paused.changed_by.as_str()), (2, "Ann"));
    assert_eq!((fired.job.revision, fired.changed_by.as_str()), (3, ""));
    assert_eq!(fired.valid_from, until);
    assert_eq!(job(&app, "job").await.revision, 3);
}

#[tokio::test]
async fn a_resume_can_catch_up_the_ticks_of_the_pause() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    app.pause_scheduled_job(&id("job"), String::new(), None, "Ann").await.unwrap();
    world.pass(5 * 60);

    let resumed = app.resume_scheduled_job(&id("job"), HeldTicks::CatchUp, "Ann").await.unwrap();

    assert_eq!(
        ledger(&world.pool, "job").await,
        [row("00:31", "00:34", "merged"), row("00:35", "00:35", "fired")]
    );
    assert_eq!(resumed.gate.next_tick_at, Some(at("2026-01-01T00:36:00Z")));
    assert_eq!(runs(&app, "job").await.len(), 1);
}

#[tokio::test]
async fn a_backfill_creates_a_run_for_each_past_tick_without_one_and_is_idempotent() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    world.pass(5 * 60);
    let fired = decide(&app).await.remove(0);

    let validated =
        app.backfill(backfill("00:29:00", "00:35:00", None), Mode::ValidateOnly).await.unwrap();
    assert_eq!((validated.ticks.len(), runs(&app, "job").await.len()), (7, 1));
    let created =
        app.backfill(backfill("00:29:00", "00:35:00", Some("x")), Mode::Commit).await.unwrap();
    let repeated =
        app.backfill(backfill("00:29:00", "00:35:00", Some("x")), Mode::Commit).await.unwrap();
    let other = app.backfill(backfill("00:35:00", "00:35:30", None), Mode::Commit).await.unwrap();

    assert_eq!(created.ticks, repeated.ticks);
    let created = created.ticks;
    let new = created.iter().filter(|tick| matches!(tick.outcome, Backfilled::Created(Some(_))));
    assert_eq!((created.len(), new.count()), (7, 6));
    assert_eq!(created[6].outcome, Backfilled::RunExists(fired.clone()));
    assert_eq!(other.ticks[0].outcome, Backfilled::RunExists(fired));
    let runs = runs(&app, "job").await;
    assert_eq!(runs.len(), 7);
    let oldest = runs.iter().filter_map(|run| run.spec.tick_at).min();
    assert_eq!(oldest, Some(at("2026-01-01T00:29:00Z")), "also before the job was created");
    assert!(runs.iter().all(|run| run.spec.reference_time() == run.spec.tick_at.unwrap()));
    let why = explain(&app, "00:32:00").await;
    assert!(why.text.contains("backfill") && why.text.contains("replaced it"), "{}", why.text);
}

#[tokio::test]
async fn a_backfill_checks_its_range_and_does_not_affect_the_schedule() {
    let world = World::new().await;
    let app = world.app().await;
    let before = create(&app, "job").await;
    world.pass(60);
    let field = |result: Result<_, AppError>| match result {
        Err(AppError::Invalid(violations)) => violations[0].field.clone(),
        other => panic!("{other:?}"),
    };
    let rejected_field = |from: &'static str, to: &'static str| {
        let app = &app;
        async move { field(app.backfill(backfill(from, to, None), Mode::Commit).await) }
    };
    assert_eq!(rejected_field("00:00:00", "00:32:00").await, "end_time");
    assert_eq!(rejected_field("00:02:00", "00:01:00").await, "start_time");
    let long =
        Backfill { start: at("2025-12-01T00:00:00Z"), ..backfill("00:00:00", "00:30:00", None) };
    assert_eq!(field(app.backfill(long, Mode::Commit).await), "end_time");

    // The tick of 00:31 is due but not decided, so it is left to the scheduler.
    let ticks = app.backfill(backfill("00:31:00", "00:31:30", None), Mode::Commit).await.unwrap();

    assert_eq!(ticks.ticks, []);
    assert_eq!(job(&app, "job").await.gate, before.gate);
    assert_eq!(decide(&app).await.len(), 1, "backfilled runs do not overlap with ticks");
}

#[tokio::test]
async fn a_tick_stays_decided_after_its_ledger_entry_is_pruned() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    world.pass(60);
    decide(&app).await;
    world.pass(200 * 24 * 3_600);
    decide(&app).await;
    let before = ledger(&world.pool, "job").await.len();

    app.prune().await.unwrap();

    let left = ledger(&world.pool, "job").await.len();
    assert!(left < before, "{left} of {before}");
    assert_eq!(decide(&app).await.len(), 0);
    let expired = explain(&app, "00:31:00").await;
    assert_eq!((expired.state, runs(&app, "job").await.len()), (TickState::Expired, 1));
}

#[tokio::test]
async fn a_worker_whose_lease_expired_no_longer_counts_as_connected() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    trigger(&app, "job", None).await;
    lease(&app, "silent").await;
    world.pass(21);
    let mut runs = app.reap(10, LONG_AGO).await.unwrap();
    world.pass(10);
    let reason = async |runs: &[_]| app.pending_reasons(runs).await.unwrap().pop().flatten();
    let source = runs[0].spec.parameters.source.clone().unwrap();
    assert_eq!(reason(&runs).await, Some(PendingReason::Worker { source: source.clone() }));

    trigger(&app, "job", None).await;
    lease(&app, "back").await;
    runs.truncate(1);
    assert_eq!(reason(&runs).await, Some(PendingReason::Turn { source }));
}
