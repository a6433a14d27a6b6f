//! Filters: lists, counts, watches and bulk cancellations agree about the runs that match.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use windrow_server::app::{App, Mode, Trigger};
use windrow_server::domain::filter::{FilteredState, RunConditions, RunFilter, Visibility};
use windrow_server::domain::run::{Event, Priority, Run};
use windrow_server::domain::size::MESSAGE;
use windrow_server::store::feed::{self, FeedPosition};
use windrow_server::store::{Budget, runs};
use windrow_worker::{AttemptUpdate, Failure, LocationResult, Outcome};

use crate::support::{
    World, complete, create, done, eventually, heartbeat_item, holder, lease, trigger_of, worker_of,
};

/// Every field and operator, with the number of runs in [`world_with_runs`] that match.
const FILTERS: [(&str, usize); 32] = [
    ("", 5),
    ("status = completed", 2),
    ("status != pending AND status != running", 3),
    ("status = pending AND status = running", 0),
    ("priority = low", 2),
    ("priority != low AND status = running", 1),
    ("scheduled_job_id = one", 3),
    ("parameters.source = sample", 5),
    ("parameters.source = other", 0),
    ("origin = triggered", 5),
    ("origin != triggered", 0),
    ("created_at > '2026-01-01T00:31:30Z'", 0),
    ("created_at > '2026-01-01T00:30:30Z'", 2),
    ("created_at <= '2026-01-01T00:30:30Z'", 3),
    ("failed_locations > 0", 1),
    ("failed_locations >= 1 AND failed_locations <= 1", 1),
    ("failed_locations = 1", 1),
    ("failed_locations != 1", 4),
    ("failed_locations < 1", 4),
    ("failed_locations = 0 AND status = completed", 1),
    ("failed_locations > 1", 0),
    ("labels.team = sales", 5),
    ("labels.team = sales AND status = completed", 2),
    ("labels.team = sales AND status = cancelled", 1),
    ("labels.team = sales AND status != completed", 3),
    ("labels.team = sales AND status = failed", 0),
    ("labels.team = sales AND status = running", 1),
    ("labels:none", 0),
    ("NOT labels:none", 5),
    ("labels.none = x", 0),
    ("labels.none != x", 5),
    ("labels.none != x AND labels.none != y AND NOT labels:a AND NOT labels:b", 5),
];

/// Two completed runs, one of them with a failed location, and one running, cancelled and pending each.
async fn world_with_runs() -> (World, App) {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "one").await;
    create(&app, "other").await;
    trigger_labelled(&app, "one", Some(Priority::High)).await;
    complete(&app, &lease(&app, "worker").await).await.unwrap();
    trigger_labelled(&app, "one", None).await;
    complete_with_a_failure(&app, &lease(&app, "worker").await).await;
    trigger_labelled(&app, "other", None).await;
    lease(&app, "worker").await;
    world.pass(60);
    let cancelled = trigger_labelled(&app, "one", Some(Priority::Low)).await;
    app.cancel_run(&cancelled.spec.id).await.unwrap();
    trigger_labelled(&app, "other", Some(Priority::Low)).await;
    (world, app)
}

async fn trigger_labelled(app: &App, id: &str, priority: Option<Priority>) -> Run {
    let labels = [("team".to_owned(), "sales".to_owned())].into();
    let trigger = Trigger { labels, ..trigger_of(id, priority) };
    app.trigger(trigger, Mode::Commit).await.unwrap().run
}

async fn complete_with_a_failure(app: &App, run: &Run) {
    let (failed, others) = run.spec.parameters.locations.split_last().unwrap();
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    let mut update = done(&others);
    let failure = Some(Failure { reason: "not found".to_owned(), permanent: true });
    update.results.push(LocationResult { location: failed.clone(), failure });
    // Reported before the end, so that the failure is a change of its own.
    app.heartbeat(worker_of(run), vec![heartbeat_item(run, update)], Duration::ZERO).await.unwrap();
    app.finish(&holder(run), Outcome::Done, AttemptUpdate::default()).await.unwrap();
}

fn filter(text: &str) -> RunFilter {
    RunFilter { scheduled_job_id: None, conditions: RunConditions::parse(text).unwrap() }
}

async fn list(conn: &mut PgConnection, text: &str) -> Vec<Run> {
    runs::runs_list(conn, &filter(text), None, 10, &mut Budget::default()).await.unwrap()
}

#[tokio::test]
async fn a_list_its_count_and_a_watch_agree_about_every_filter() {
    let (world, _) = world_with_runs().await;
    let mut conn = world.pool.acquire().await.unwrap();
    let all = list(&mut conn, "").await;
    for (text, expected) in FILTERS {
        let listed = list(&mut conn, text).await;
        assert_eq!(listed.len(), expected, "{text}");
        let count = runs::runs_count(&mut conn, &filter(text)).await.unwrap();
        assert_eq!(usize::try_from(count).unwrap(), expected, "{text}");
        let is_visible = |run: &&Run| {
            let after = FilteredState::of(run);
            filter(text).visibility(run, None, after) == Visibility::Visible
        };
        let visible: Vec<&Run> = all.iter().filter(is_visible).collect();
        assert_eq!(visible, listed.iter().collect::<Vec<_>>(), "{text}");
    }
}

#[tokio::test]
async fn a_bulk_cancellation_finds_the_listed_runs_that_can_be_cancelled() {
    let (world, app) = world_with_runs().await;
    let mut conn = world.pool.acquire().await.unwrap();
    let now: DateTime<Utc> = app.now();
    let mut found = 0;
    for (text, _) in FILTERS {
        let can_be_cancelled = |run: &Run| run.clone().apply(Event::CancelRequested, now).is_ok();
        let listed = list(&mut conn, text).await.into_iter();
        let mut expected: Vec<_> =
            listed.filter(can_be_cancelled).map(|run| run.spec.id.clone()).collect();
        expected.sort();
        let ids = runs::runs_to_cancel(&mut conn, &filter(text), "", now, 10).await.unwrap();
        assert_eq!(ids, expected, "{text}");
        found += ids.len();
    }
    assert!(found > 0, "no filter matched a run that can be cancelled");
    let filter = filter("priority = low");
    let cancelled = app.cancel_runs(&filter, Mode::Commit).await.unwrap();
    assert_eq!((cancelled.pending, cancelled.running), (1, 0));
}

#[tokio::test]
async fn pages_of_a_filtered_list_follow_each_other() {
    let (world, _) = world_with_runs().await;
    let mut conn = world.pool.acquire().await.unwrap();
    let filter = filter("failed_locations = 0");
    let mut paged = Vec::new();
    let mut after = None;
    loop {
        let budget = &mut Budget::default();
        let page = runs::runs_list(&mut conn, &filter, after.as_ref(), 1, budget).await.unwrap();
        let Some(run) = page.into_iter().next() else { break };
        after = Some((run.spec.created_at, run.spec.id.clone()));
        paged.push(run);
    }
    assert_eq!(paged, list(&mut conn, "failed_locations = 0").await);
}

#[tokio::test]
async fn a_change_has_the_number_of_failed_locations_before_it() {
    let (world, _) = world_with_runs().await;
    let mut conn = world.pool.acquire().await.unwrap();
    // Transactions of other databases in the cluster may delay the feed.
    let failed_before = eventually("both changes are visible", async || {
        let feed = feed::feed_get(&mut conn).await.unwrap();
        let start = FeedPosition::default();
        let changes = feed::feed_after(&mut conn, &feed, start, 100, MESSAGE).await.unwrap();
        let failed =
            changes.changes.iter().filter(|change| !change.run.state.progress.failed.is_empty());
        let before: Vec<_> = failed.map(|change| change.before.unwrap().failed_locations).collect();
        (before.len() >= 2).then_some(before)
    })
    .await;
    assert_eq!(failed_before, [0, 1], "the location failed before the run was completed");
}
