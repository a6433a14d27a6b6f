//! Changing settings.

use std::collections::BTreeSet;
use std::sync::Arc;

use windrow_server::app::{App, AppError, Edit, Mode};
use windrow_server::clock::Clock;
use windrow_server::domain::id::ScheduledJobId;
use windrow_server::domain::parameters::SourceNames;
use windrow_server::domain::scheduled_job::SettingsDraft;
use windrow_server::watch::Hub;

use crate::support::{World, create};

#[tokio::test]
async fn a_job_whose_source_another_server_has_can_still_be_renamed() {
    let world = World::new().await;
    create(&world.app().await, "job").await;
    let hub = Arc::new(Hub::start(world.pool.clone()).await.unwrap());
    let clock: Arc<dyn Clock> = Arc::<windrow_server::clock::ManualClock>::clone(&world.clock);
    let names = BTreeSet::from(["other".to_owned()]);
    let sources = SourceNames { names, default: None };
    let elsewhere = App::new(world.pool.clone(), clock, hub, sources);
    let id = ScheduledJobId::parse("job").unwrap();
    let update = async |change: &(dyn Fn(&mut SettingsDraft) + Send + Sync)| {
        let edit = Edit { id: &id, etag: "", changed_by: "test", mode: Mode::Commit };
        elsewhere.update_scheduled_job(edit, change).await
    };

    let renamed = update(&|draft| draft.name = "New".to_owned()).await.unwrap();
    let refused = update(&|draft| draft.parameters.source = Some("nope".to_owned())).await;

    assert_eq!((renamed.settings.name.as_str(), renamed.version), ("New", 2));
    assert!(matches!(refused, Err(AppError::Invalid(_))), "{refused:?}");
}
