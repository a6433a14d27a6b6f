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
                last = Some(run.run.state.revision);
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
async fn a_resumed_watch_reports_a_run_that_stopped_matching_before_more_progress() {
    let world = World::new().await;
    let app = world.app_with(Arc::new(Hub::start(world.pool.clone()).await.unwrap()));
    create(&app, "job").await;
    trigger(&app, "job", None).await;
    let mut run = lease(&app, "worker").await;
    let filter = "failed_locations = 0";
    let selection =
        RunFilter { conditions: RunConditions::parse(filter).unwrap(), ..RunFilter::default() };
    let watch = app.watch_runs(watcher(), selection.clone(), filter, None).await.unwrap();
    let mut updates = Box::pin(watch);
    let token = loop {
        if let Update::Synced(token) = updates.next().await.unwrap().unwrap() {
            break token;
        }
    };
    drop(updates);

    let (location, reason) = ("Carmel, IN".to_owned(), "not found".to_owned());
    run.state.progress.failed.push(FailedLocation { location, reason, permanent: true });
    let mut conn = world.pool.acquire().await.unwrap();
    for _ in 0..2 {
        run.state.revision += 1;
        runs::runs_write(&mut conn, std::slice::from_ref(&run)).await.unwrap();
    }
    // Another server, which was not there for the changes, reads both from the database.
    let hub = Arc::new(Hub::start(world.pool.clone()).await.unwrap());
    let app = world.app_with(Arc::clone(&hub));
    let watch = app.watch_runs(watcher(), selection, filter, Some(&token)).await.unwrap();
    let mut updates = Box::pin(watch);
    // Transactions of other databases in the cluster may delay the changes, but not their order.
    let left = async {
        loop {
            match updates.next().await.unwrap().unwrap() {
                Update::Left(left, _) => return left,
                Update::Synced(_) | Update::Bookmark { .. } => {}
                Update::Changed(before, _) if before.run.state.progress.failed.is_empty() => {}
                update => panic!("expected that the run leaves, got {update:?}"),
            }
        }
    };
    let left = tokio::select! {
        left = tokio::time::timeout(TIMEOUT, left) => left.expect("no update"),
        () = hub.run(CancellationToken::new()) => panic!("the hub stopped"),
    };
    assert_eq!(left.run.state.revision, run.state.revision - 1);
}
