//! Updates of a job's settings, and jobs whose source only another server has.

use windrow_server::app::{AppError, Edit, Mode};
use windrow_server::domain::scheduled_job::SettingsDraft;

use crate::support::{World, create, id, trigger_of};

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
async fn a_trigger_says_if_the_server_does_not_have_the_source() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    let elsewhere = world.app_with_source("other").await;
    let usual = "Triggered scheduled job 'Job job' to run immediately";
    let waits = ". This server has no source 'sample': the run waits for a server that has it";

    let known = app.trigger(trigger_of("job", None), Mode::Commit).await.unwrap();
    let unknown = elsewhere.trigger(trigger_of("job", None), Mode::Commit).await.unwrap();
    let again = trigger_of(unknown.run.spec.id.as_str(), None);
    let again = elsewhere.trigger(again, Mode::ValidateOnly).await.unwrap();

    assert_eq!(known.message, usual);
    assert_eq!(unknown.message, format!("{usual}{waits}"));
    assert!(again.message.ends_with(waits), "{}", again.message);
}
