//! Updates of a job's settings, and jobs whose source only another server has.

use chrono::TimeDelta;
use windrow_server::app::{AppError, Backfill, Edit, Mode, Preview};
use windrow_server::clock::Clock as _;
use windrow_server::domain::scheduled_job::SettingsDraft;

use crate::support::{World, create, id};

#[tokio::test]
async fn a_job_whose_source_another_server_has_can_still_be_renamed() {
    let world = World::new().await;
    create(&world.app().await, "job").await;
    let elsewhere = world.app_with_source("other").await;
    let id = id("job");
    let update = async |change: &(dyn Fn(&mut SettingsDraft) + Send + Sync)| {
        let edit = Edit { id: &id, etag: "", changed_by: "test", mode: Mode::Commit };
        elsewhere.update_scheduled_job(edit, change).await
    };

    let renamed = update(&|draft| draft.name = "New".to_owned()).await.unwrap();
    let refused = update(&|draft| draft.parameters.source = Some("nope".to_owned())).await;

    assert_eq!((renamed.settings.name.as_str(), renamed.version), ("New", 2));
    assert!(matches!(refused, Err(AppError::Invalid(_))), "{refused:?}");
}

#[tokio::test]
async fn everything_about_a_job_says_if_the_server_does_not_have_its_source() {
    let world = World::new().await;
    let app = world.app().await;
    let created = create(&app, "job").await;
    let elsewhere = world.app_with_source("other").await;
    let waits = "this server has no source 'sample': runs wait for a server that has it";
    let next = created.gate.next_tick_at.unwrap();
    let backfill = || Backfill {
        job: created.id.clone(),
        start: world.clock.now() - TimeDelta::minutes(2),
        end: world.clock.now(),
        priority: None,
        requested_by: String::new(),
        idempotency_key: None,
    };

    for (app, expected) in [(&app, None), (&elsewhere, Some(waits))] {
        let sources = app.sources();
        assert_eq!(sources.missing(&created.settings.parameters).as_deref(), expected);
        assert_eq!(created.settings.warnings(sources), Vec::from_iter(expected));
        let preview = app.preview_ticks(Preview::Job(created.id.clone()), None, 1).await.unwrap();
        assert_eq!(preview.warnings, Vec::from_iter(expected));
        let backfilled = app.backfill(backfill(), Mode::ValidateOnly).await.unwrap();
        assert_eq!(backfilled.warnings, Vec::from_iter(expected));
        let explained = app.explain_tick(&created.id, next).await.unwrap();
        let but = expected.map(|waits| format!(" But {waits}.")).unwrap_or_default();
        assert_eq!(explained.text, format!("A run will be created.{but}"));
    }
}
