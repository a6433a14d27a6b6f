//! Every index has a query that uses it: what it costs each write is not for nothing.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, json};
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;
use windrow_server::app::{App, HeldTicks, IdempotencyKey, Mode, RunQuery};
use windrow_server::domain::filter::{RunConditions, RunFilter};
use windrow_server::domain::log::{Level, LogFilter};
use windrow_server::domain::property::PropertyFilter;
use windrow_server::domain::run::Run;
use windrow_server::watch::Hub;
use windrow_worker::{AttemptUpdate, LogLine, Property, Report, ScrapedProperty};

use crate::support::{
    LONG_AGO, World, at, complete, create, decide, eventually, heartbeat_item, holder, id, lease,
    trigger, trigger_of, worker_of,
};

/// Indexes that only guarantee something: a single row, at most one run per tick (the ledger has the run of each
/// tick), and one row per server.
const GUARANTEES: [&str; 3] = ["feed_pkey", "scraping_job_one_per_tick", "server_pkey"];

async fn unused(world: &World) -> Vec<String> {
    let unused = "select indexrelname::text from pg_stat_user_indexes
        where idx_scan = 0 and relname <> '_sqlx_migrations' order by 1";
    sqlx::query_scalar(unused).fetch_all(&world.pool).await.unwrap()
}

#[tokio::test]
async fn every_index_is_used() {
    let world = World::new().await;
    // The tables are small. If reading one cost nothing, the planner would not use an index.
    let options = PgConnectOptions::clone(&world.pool.connect_options())
        .options([("seq_page_cost", "1000000")]);
    let pool = PgPool::connect_with(options).await.unwrap();
    let hub = Arc::new(Hub::start(pool.clone()).await.unwrap());
    let app = World { pool: pool.clone(), clock: Arc::clone(&world.clock) }.app_with(hub);

    live(&world, &app).await;
    add_properties(&world).await;
    read(&app).await;
    world.pass(400 * 24 * 60 * 60);
    app.prune().await.unwrap();
    app.prune_events().await.unwrap();

    // A connection reports what it has used when it is closed.
    drop(app);
    pool.close().await;
    eventually("every index is used", async || {
        let unused = unused(&world).await;
        (unused == GUARANTEES).then_some(())
    })
    .await;
}

/// What changes the database.
async fn live(world: &World, app: &App) {
    create(app, "job").await;
    let mut labelled = trigger_of("job", None);
    labelled.labels = [("team".to_owned(), "sales".to_owned())].into();
    labelled.idempotency_key = Some(IdempotencyKey {
        principal: "test".to_owned(),
        method: "TriggerJob",
        request_id: "request".to_owned(),
        payload_hash: vec![1],
    });
    for _ in 0..2 {
        app.trigger(labelled.clone(), Mode::Commit).await.unwrap();
    }
    let run = lease(app, "worker").await;
    let line = LogLine {
        sequence: 1,
        location: "Carmel, IN".to_owned(),
        logged_at: app.now(),
        level: windrow_worker::Level::Info,
        text: "text".to_owned(),
    };
    let update = AttemptUpdate { lines: vec![line], ..AttemptUpdate::default() };
    app.heartbeat(worker_of(&run), vec![heartbeat_item(&run, update)], Duration::ZERO)
        .await
        .unwrap();
    submit(app, &run, 1).await;
    complete(app, &run).await.unwrap();
    trigger(app, "job", None).await;
    let next = lease(app, "worker").await;
    submit(app, &next, 2).await;
    complete(app, &next).await.unwrap();
    world.pass(60);
    decide(app).await;
    app.reap(10, LONG_AGO).await.unwrap();
    trigger(app, run.spec.id.as_str(), None).await;
    app.pause_scheduled_job(&id("job"), String::new(), None, "test").await.unwrap();
    app.resume_scheduled_job(&id("job"), HeldTicks::Record, "test").await.unwrap();
    trigger(app, "job", None).await;
}

/// Adds properties of another place that have not changed for long.
async fn add_properties(world: &World) {
    let add = "insert into property
        select (jsonb_populate_record(p, jsonb_build_object(
            'property_id', 'p' || n, 'location', 'Elsewhere', 'first_seen_at', '2025-01-01Z', 'changed_at', '2025-01-01Z'
        ))).*
        from property p, generate_series(1, 1000) n";
    for statement in [add, "analyze property"] {
        sqlx::query(statement).execute(&world.pool).await.unwrap();
    }
}

/// Reports the one property with a price.
async fn submit(app: &App, run: &Run, price: i64) {
    let body = Map::from_iter([("price".to_owned(), json!(price))]);
    let property = Property::new("p".to_owned(), body);
    let properties = vec![ScrapedProperty { location: "Carmel, IN".to_owned(), property }];
    let report = Report { properties, ..Report::default() };
    app.submit_properties(&holder(run), report).await.unwrap();
}

/// What users ask for.
async fn read(app: &App) {
    for text in [
        "",
        "status = completed",
        "status = running",
        "failed_locations > 0",
        "labels.team = sales",
        "scheduled_job_id = job",
    ] {
        let conditions = RunConditions::parse(text).unwrap();
        let filter = RunFilter { scheduled_job_id: None, conditions };
        app.list_runs(RunQuery { filter, after: None, limit: 50 }).await.unwrap();
    }
    let (_, runs, _) = app.get_scheduled_job(&id("job"), 10).await.unwrap();
    for run in &runs {
        let filter = LogFilter {
            run: run.spec.id.clone(),
            attempt: Some(1),
            location: Some("Carmel, IN".to_owned()),
            min_level: Level::Debug,
            after: 0,
            limit: 10,
        };
        app.list_logs(filter).await.unwrap();
    }
    app.pending_reasons(&runs).await.unwrap();
    let newest = runs.first().unwrap();
    app.changed_since(newest, 10).await.unwrap();
    app.scheduled_job_statistics(&id("job"), None).await.unwrap();
    app.explain_tick(&id("job"), app.now()).await.unwrap();
    app.explain_tick(&id("job"), at("2026-01-01T00:31:00Z")).await.unwrap();
    app.list_ticks(&id("job"), None, 10).await.unwrap();
    app.get_property("sample", "p", None, 10).await.unwrap();
    let none = PropertyFilter::default;
    for filter in [
        none(),
        PropertyFilter { location: Some("Carmel, IN".to_owned()), ..none() },
        PropertyFilter { changed_since: Some(at("2026-01-01T00:00:00Z")), ..none() },
        PropertyFilter { scheduled_job_id: Some(id("job")), ..none() },
        PropertyFilter { job_id: Some(newest.spec.id.clone()), ..none() },
    ] {
        app.list_properties(filter, 10).await.unwrap();
    }
}
