//! Updates of a job's settings.

use windrow_server::app::{AppError, Edit, Mode};
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
