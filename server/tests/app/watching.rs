//! Watches of runs that change faster than the client reads.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use tokio_util::sync::CancellationToken;
use windrow_server::app::Watcher;
use windrow_server::domain::filter::{RunConditions, RunFilter};
use windrow_server::domain::run::FailedLocation;
use windrow_server::store::runs;
use windrow_server::watch::{Hub, Start, Update};

use crate::support::{World, complete, create, eventually, lease, trigger};

/// The longest wait of a test.
const TIMEOUT: Duration = Duration::from_mins(1);
/// More than the buffer of a watch holds, and than one query of it returns.
const CHANGES: i64 = 300;

fn watcher() -> Watcher {
    Watcher { client: "client".to_owned(), closing: CancellationToken::new() }
}

#[tokio::test]
async fn a_watch_that_lags_far_behind_still_receives_the_final_event() {
    let world = World::new().await;
    let hub = Arc::new(Hub::start(world.pool.clone()).await.unwrap());
    let app = world.app_with(Arc::clone(&hub));
    create(&app, "job").await;
    trigger(&app, "job", None).await;
    let mut run = lease(&app, "worker").await;
    let watch = app.watch_run(watcher(), run.spec.id.clone(), Start::Now).await.unwrap();
    let mut updates = Box::pin(watch);
    while !matches!(updates.next().await, Some(Ok(Update::Synced(_)))) {}

    let mut conn = world.pool.acquire().await.unwrap();
    for _ in 0..CHANGES {
        run.state.revision += 1;
        runs::runs_write(&mut conn, std::slice::from_ref(&run)).await.unwrap();
    }
    let ended = complete(&app, &run).await.unwrap();
    let read = async {
        // Start reading only after the watch has overflowed its buffer.
        eventually("the watch overflows", async || (hub.overflows() > 0).then_some(())).await;
        let mut last = None;
        while let Some(update) = updates.next().await {
            if let Update::Changed(run, _) = update.unwrap() {
                last = Some(run.state.revision);
            }
        }
        last
    };
    let last = tokio::select! {
        last = tokio::time::timeout(TIMEOUT, read) => last.expect("the watch has stopped sending"),
        () = hub.run(CancellationToken::new()) => None,
    };
    assert_eq!(last, Some(ended.state.revision));
}

#[tokio::test]
async fn a_watch_reports_a_run_that_stops_matching_even_if_more_progress_follows() {
    let world = World::new().await;
    let hub = Arc::new(Hub::start(world.pool.clone()).await.unwrap());
    let app = world.app_with(Arc::clone(&hub));
    create(&app, "job").await;
    trigger(&app, "job", None).await;
    let mut run = lease(&app, "worker").await;
    let filter = "failed_locations = 0";
    let selection =
        RunFilter { conditions: RunConditions::parse(filter).unwrap(), ..RunFilter::default() };
    let mut updates = Box::pin(app.watch_runs(watcher(), selection, filter, None).await.unwrap());
    while !matches!(updates.next().await, Some(Ok(Update::Synced(_)))) {}

    let (location, reason) = ("Carmel, IN".to_owned(), "not found".to_owned());
    run.state.progress.failed.push(FailedLocation { location, reason, permanent: true });
    // In one transaction, so that the watch receives both changes together.
    let mut tx = world.pool.begin().await.unwrap();
    for _ in 0..2 {
        run.state.revision += 1;
        runs::runs_write(&mut tx, std::slice::from_ref(&run)).await.unwrap();
    }
    tx.commit().await.unwrap();
    let read = async {
        loop {
            match updates.next().await.unwrap().unwrap() {
                Update::Left(left, _) => break left.state.revision,
                Update::Bookmark { .. } => {}
                update => panic!("expected that the run leaves, got {update:?}"),
            }
        }
    };
    let revision = tokio::select! {
        revision = tokio::time::timeout(TIMEOUT, read) => revision.expect("no update"),
        () = hub.run(CancellationToken::new()) => 0,
    };
    assert_eq!(revision, run.state.revision - 1);
}
