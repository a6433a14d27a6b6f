//! Watches that are not read while much happens.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use tokio_util::sync::CancellationToken;
use windrow_server::app::Watcher;
use windrow_server::store::runs;
use windrow_server::watch::{Hub, Start, Update};

use crate::support::{World, complete, create, lease, trigger};

/// No test waits longer for anything.
const PATIENCE: Duration = Duration::from_mins(1);
/// More than is kept for a watch, and than it reads from the database at once.
const CHANGES: i64 = 300;

#[tokio::test]
async fn a_watch_of_one_run_that_is_far_behind_gets_to_its_end() {
    let world = World::new().await;
    let hub = Arc::new(Hub::start(world.pool.clone()).await.unwrap());
    let app = world.app_with(Arc::clone(&hub));
    create(&app, "job").await;
    trigger(&app, "job", None).await;
    let mut run = lease(&app, "worker").await;
    let watcher = Watcher { client: "client".to_owned(), closing: CancellationToken::new() };
    let watch = app.watch_run(watcher, run.spec.id.clone(), Start::Now).await.unwrap();
    let mut updates = Box::pin(watch);
    while !matches!(updates.next().await, Some(Ok(Update::Synced(_)))) {}

    let mut conn = world.pool.acquire().await.unwrap();
    for _ in 0..CHANGES {
        run.state.revision += 1;
        runs::runs_write(&mut conn, std::slice::from_ref(&run)).await.unwrap();
    }
    let ended = complete(&app, &run).await.unwrap();
    // Nobody reads until there was too much.
    let full = async {
        while hub.overflows() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let read = async {
        full.await;
        let mut last = None;
        while let Some(update) = updates.next().await {
            if let Update::Changed(run, _) = update.unwrap() {
                last = Some(run.state.revision);
            }
        }
        last
    };
    let last = tokio::select! {
        last = tokio::time::timeout(PATIENCE, read) => last.expect("the watch is silent"),
        () = hub.run(CancellationToken::new()) => None,
    };
    assert_eq!(last, Some(ended.state.revision));
}
