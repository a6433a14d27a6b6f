//! Triggers of jobs that another server has changed since this one read them.

use futures::future::try_join_all;
use windrow_server::app::{App, AppError, HeldTicks, Mode, Triggered};

use crate::support::{World, create, id, trigger_of, update};

async fn trigger(app: &App) -> Result<Triggered, AppError> {
    app.trigger(trigger_of("job", None), Mode::Commit).await
}

#[tokio::test]
async fn a_trigger_uses_the_job_as_it_is() {
    let world = World::new().await;
    let (app, elsewhere) = (world.app().await, world.app().await);
    create(&app, "job").await;
    trigger(&app).await.unwrap();

    update(&elsewhere, "job", |draft| {
        draft.name = "New".to_owned();
        draft.parameters.locations = vec!["Carmel, IN".to_owned()];
    })
    .await;
    let updated = trigger(&app).await.unwrap();
    elsewhere.pause_scheduled_job(&id("job"), String::new(), None, "test").await.unwrap();
    let paused = trigger(&app).await.unwrap();
    elsewhere.resume_scheduled_job(&id("job"), HeldTicks::Record, "test").await.unwrap();
    let resumed = trigger(&app).await.unwrap();

    assert_eq!(updated.run.spec.parameters.locations, ["Carmel, IN"]);
    let text = "Triggered scheduled job 'New' to run immediately";
    assert_eq!(updated.message, text);
    assert_eq!(paused.message, format!("{text} (the job is paused)"));
    assert_eq!(resumed.message, text);
}

#[tokio::test]
async fn a_deleted_job_has_no_new_runs_until_it_is_restored() {
    let world = World::new().await;
    let (app, elsewhere) = (world.app().await, world.app().await);
    create(&app, "job").await;
    trigger(&app).await.unwrap();

    elsewhere.delete_scheduled_job(&id("job"), "", "test").await.unwrap();
    let deleted = [trigger(&app).await, trigger(&app).await];
    elsewhere.undelete_scheduled_job(&id("job"), "test").await.unwrap();
    let restored = trigger(&app).await;

    assert!(deleted.iter().all(|it| matches!(it, Err(AppError::JobDeleted(_)))), "{deleted:?}");
    assert!(restored.is_ok(), "{restored:?}");
}

#[tokio::test]
async fn concurrent_triggers_after_an_edit_use_the_job_as_it_is() {
    let world = World::new().await;
    let (app, elsewhere) = (world.app().await, world.app().await);
    create(&app, "job").await;
    trigger(&app).await.unwrap();
    update(&elsewhere, "job", |draft| draft.name = "New".to_owned()).await;

    let all = try_join_all((0..50).map(|_| trigger(&app))).await.unwrap();

    let names: Vec<_> = all.iter().map(|it| &it.message).collect();
    assert!(names.iter().all(|name| name.contains("'New'")), "{names:?}");
}
