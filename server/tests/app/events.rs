//! The outbox: pruning, and the order of events.

use std::time::Duration;

use sqlx::PgPool;
use windrow_server::app::App;
use windrow_server::domain::run::Run;
use windrow_server::domain::size::MESSAGE;
use windrow_server::store::feed::{self, FeedPosition};
use windrow_server::store::runs;

use crate::support::{
    World, complete, create, done, eventually, heartbeat_item, lease, trigger, update, worker_of,
};

/// Makes all events older than their retention.
async fn age(pool: &PgPool) {
    let age = "update run_event set written_at = '2025-01-01T00:00:00Z'";
    sqlx::query(age).execute(pool).await.unwrap();
}

/// Prunes until events were examined. Transactions of other databases in the cluster may delay the feed.
async fn prune(app: &App) -> i64 {
    eventually("events are pruned", async || {
        Some(app.prune_events().await.unwrap()).filter(|count| *count > 0)
    })
    .await
}

async fn revisions(pool: &PgPool, run: &Run) -> Vec<i64> {
    let kept = "select revision from run_event where job_id = $1 order by revision";
    sqlx::query_scalar(kept).bind(run.spec.id.as_str()).fetch_all(pool).await.unwrap()
}

#[tokio::test]
async fn pruning_keeps_recent_events_and_the_last_event_of_an_active_run() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    trigger(&app, "job", None).await;
    let ended = complete(&app, &lease(&app, "worker").await).await.unwrap();
    trigger(&app, "job", None).await;
    let running = lease(&app, "worker").await;
    age(&world.pool).await;
    let recent = trigger(&app, "job", None).await;

    let mut count = 0;
    while count < ended.state.revision + running.state.revision {
        count += prune(&app).await;
    }
    assert_eq!(count, ended.state.revision + running.state.revision);
    assert_eq!(app.prune_events().await.unwrap(), 0);

    assert_eq!(revisions(&world.pool, &ended).await, [0_i64; 0]);
    assert_eq!(revisions(&world.pool, &running).await, [running.state.revision]);
    assert_eq!(revisions(&world.pool, &recent).await, [1]);
}

#[tokio::test]
async fn the_kept_event_of_an_active_run_is_pruned_after_the_run_ended() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    trigger(&app, "job", None).await;
    let running = lease(&app, "worker").await;
    age(&world.pool).await;
    let mut count = 0;
    while count < running.state.revision {
        count += prune(&app).await;
    }
    let ended = complete(&app, &running).await.unwrap();
    let kept: Vec<i64> = (running.state.revision..=ended.state.revision).collect();
    assert_eq!(app.prune_events().await.unwrap(), 0);
    assert_eq!(revisions(&world.pool, &ended).await, kept, "the final event is recent");

    age(&world.pool).await;
    let are_pruned = async || {
        app.prune_events().await.unwrap();
        revisions(&world.pool, &ended).await.is_empty().then_some(())
    };
    eventually("the events of the ended run are pruned", are_pruned).await;
}

#[tokio::test]
async fn events_of_a_run_are_in_order_even_if_the_transaction_of_the_last_one_began_first() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    let mut early = world.pool.begin().await.unwrap();
    sqlx::query("select pg_current_xact_id()").execute(&mut *early).await.unwrap();
    trigger(&app, "job", None).await;
    let leased = lease(&app, "worker").await;
    let mut last = leased;
    last.state.revision += 1;
    runs::runs_write(&mut early, std::slice::from_ref(&last)).await.unwrap();
    early.commit().await.unwrap();

    let mut conn = world.pool.acquire().await.unwrap();
    // Transactions of other databases in the cluster may delay the feed.
    let revisions = eventually("all events are visible", async || {
        let feed = feed::feed_get(&mut conn).await.unwrap();
        let start = FeedPosition::default();
        let changes = feed::feed_after(&mut conn, &feed, start, 10, MESSAGE).await.unwrap().changes;
        let revisions = changes.iter().map(|change| change.run.state.revision).collect::<Vec<_>>();
        (revisions.len() >= 3).then_some(revisions)
    })
    .await;

    assert_eq!(revisions, [1, 2, last.state.revision]);
}

#[tokio::test]
async fn an_event_that_is_not_visible_yet_is_not_pruned() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    let mut open = world.pool.begin().await.unwrap();
    sqlx::query("select pg_current_xact_id()").execute(&mut *open).await.unwrap();
    trigger(&app, "job", None).await;
    let ended = complete(&app, &lease(&app, "worker").await).await.unwrap();
    age(&world.pool).await;

    assert_eq!(app.prune_events().await.unwrap(), 0);
    open.commit().await.unwrap();
    while !revisions(&world.pool, &ended).await.is_empty() {
        prune(&app).await;
    }
}

#[tokio::test]
async fn events_of_a_running_run_do_not_grow_with_its_locations() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    let locations: Vec<String> = (0..1_000).map(|number| format!("Location {number}")).collect();
    update(&app, "job", |draft| draft.parameters.locations.clone_from(&locations)).await;
    trigger(&app, "job", None).await;
    let run = lease(&app, "worker").await;

    for lot in locations.chunks(20) {
        let lot: Vec<&str> = lot.iter().map(String::as_str).collect();
        let items = vec![heartbeat_item(&run, done(&lot))];
        app.heartbeat(worker_of(&run), items, Duration::ZERO).await.unwrap();
    }

    let bytes =
        "select octet_length(run::text) from run_event where job_id = $1 and status = 'running'";
    let bytes = sqlx::query_scalar(bytes).bind(run.spec.id.as_str()).fetch_all(&world.pool);
    let bytes: Vec<i32> = bytes.await.unwrap();
    assert_eq!(bytes.len(), 51, "the lease and fifty reports");
    assert!(bytes.iter().all(|bytes| *bytes < 1_000), "{bytes:?}");
}
