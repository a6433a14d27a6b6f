//! The cost of the hot paths that no machine changes: the number of statements, and their plans.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use futures::future::try_join_all;
use serde_json::Map;
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;
use tracing::field::{Field, Visit};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use windrow_server::app::App;
use windrow_server::domain::run::Run;
use windrow_server::watch::Hub;
use windrow_worker::{LogLine, Outcome, Property, Report, ScrapedProperty};

use crate::support::{
    LONG_AGO, World, create, done, heartbeat_item, holder, lease_many, trigger, worker_of,
};

thread_local! {
    /// What sqlx has reported on this thread, with the target: each statement, and each notice of the server.
    static REPORTS: RefCell<Vec<(&'static str, String)>> = const { RefCell::new(Vec::new()) };
}

/// One subscriber for all tests: with one for each, the tests would decide for each other what is of interest.
pub(crate) static SUBSCRIBER: LazyLock<()> = LazyLock::new(|| {
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Reports)).unwrap();
});

struct Reports;

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, "{}={value:?} ", field.name()).unwrap();
    }
}

impl<S: Subscriber> Layer<S> for Reports {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        let is_wanted = metadata.target().starts_with("sqlx::") && *metadata.level() < Level::TRACE;
        if is_wanted { Interest::always() } else { Interest::never() }
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        REPORTS.with_borrow_mut(|reports| reports.push((event.metadata().target(), text.0)));
    }
}

/// The reports since the last call.
pub(crate) fn take(target: &str) -> Vec<String> {
    let reports = REPORTS.take();
    reports.into_iter().filter(|(from, _)| *from == target).map(|(_, text)| text).collect()
}

async fn trigger_all(app: &App, count: usize) {
    futures::future::join_all((0..count).map(|_| trigger(app, "job", None))).await;
}

async fn finish_all(app: &App, runs: &[Run]) {
    let finish = |run: &Run| {
        let id = holder(run);
        let update = done(&["Indianapolis, IN", "Carmel, IN"]);
        async move { app.finish(&id, Outcome::Done, update).await }
    };
    try_join_all(runs.iter().map(finish)).await.unwrap();
}

/// Each run reports a property of its own, the result of a location and a line of its log.
async fn submit_all(app: &App, runs: &[Run]) {
    let submit = |run: &Run| {
        let mut update = done(&["Carmel, IN"]);
        update.lines.push(LogLine {
            sequence: 1,
            location: "Carmel, IN".to_owned(),
            logged_at: app.now(),
            level: windrow_worker::Level::Info,
            text: "1 listing".to_owned(),
        });
        let property = Property::new(run.spec.id.as_str(), Map::new());
        let row = ScrapedProperty { location: "Carmel, IN".to_owned(), property };
        let report = Report { scraped_before: 0, properties: vec![row], update };
        let holder = holder(run);
        async move { app.submit_properties(&holder, report).await }
    };
    let runs = try_join_all(runs.iter().map(submit)).await.unwrap();
    assert!(runs.iter().all(|run| run.state.counts.saved == 1));
}

/// The first of several concurrent calls is a batch of its own, and all others are the next one.
#[tokio::test]
async fn a_batch_takes_as_many_statements_as_a_single_call() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    LazyLock::force(&SUBSCRIBER);
    let mut statements = Vec::new();
    for count in [1, 60] {
        take("");
        trigger_all(&app, count).await;
        let triggers = take("sqlx::query").len();
        let runs = lease_many(&app, "worker", count).await;
        assert_eq!(runs.len(), count);
        let leases = take("sqlx::query").len();
        submit_all(&app, &runs).await;
        let reports = take("sqlx::query").len();
        finish_all(&app, &runs).await;
        let finishes = take("sqlx::query").len();
        statements.push([triggers, leases, finishes, reports]);
    }
    let [one, many] = [statements[0], statements[1]];
    assert!(one.iter().all(|count| (1..=12).contains(count)), "{one:?}");
    // The job is in the cache.
    assert_eq!(many[0], 1, "{many:?}");
    assert!(many[1] <= one[1] + 2 && many[2] <= 2 * one[2], "{many:?}");
    assert!(many[3] <= 2 * one[3], "{many:?} for {one:?}");
}

/// `auto_explain` reports the plan of each statement as a notice.
pub(crate) async fn explaining(world: &World) -> World {
    let options = PgConnectOptions::clone(&world.pool.connect_options()).options([
        ("session_preload_libraries", "auto_explain"),
        ("auto_explain.log_min_duration", "0"),
        ("auto_explain.log_level", "warning"),
        ("auto_explain.log_analyze", "on"),
        ("auto_explain.log_buffers", "on"),
    ]);
    let pool = PgPool::connect_with(options).await.unwrap();
    World { pool, clock: Arc::clone(&world.clock) }
}

/// Adds completed runs like the newest one.
pub(crate) async fn add_ended_runs(world: &World, count: i32) {
    let columns: String = sqlx::query_scalar(
        "select string_agg(quote_ident(column_name), ', ')
         from information_schema.columns
         where table_name = 'scraping_job' and is_generated = 'NEVER' and column_name <> 'job_id'",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap();
    let runs = format!(
        "with run as (
            select * from scraping_job where status = 'completed' order by job_id limit 1
         ), added as (
            insert into scraping_job (job_id, {columns})
            select 'triggered_job_' || g, {columns} from run, generate_series(1, {count}) g
         )
         insert into run_event (xid, job_id, revision, status, failed_locations, run)
         select '3', 'triggered_job_' || g, 1, 'pending', 0, '{{}}' from generate_series(1, {count}) g"
    );
    sqlx::query(sqlx::AssertSqlSafe(runs)).execute(&world.pool).await.unwrap();
}

/// The life of some runs: triggered, leased, reported about, and finished.
pub(crate) async fn live(app: &App, runs: usize) {
    trigger_all(app, runs).await;
    let leased = lease_many(app, "worker", runs).await;
    for run in &leased {
        let items = vec![heartbeat_item(run, done(&["Carmel, IN"]))];
        app.heartbeat(worker_of(run), items, Duration::ZERO).await.unwrap();
    }
    finish_all(app, &leased).await;
    finish_all(app, &leased).await;
    app.reap(10, LONG_AGO).await.unwrap();
}

#[tokio::test]
async fn no_hot_statement_reads_a_whole_table() {
    let world = World::new().await;
    let setup = world.app().await;
    create(&setup, "job").await;
    let explaining = explaining(&world).await;
    let app = explaining.app_with(Arc::new(Hub::start(world.pool.clone()).await.unwrap()));
    LazyLock::force(&SUBSCRIBER);
    for (added, is_analyzed) in
        [(0, false), (1_000, false), (1_000, true), (100_000, false), (100_000, true)]
    {
        add_ended_runs_once(&world, added, is_analyzed).await;
        take("");
        live(&app, 3).await;
        let plans = take("sqlx::postgres::notice");
        assert!(plans.len() > 15, "{} plans", plans.len());
        for table in ["scraping_job", "run_event", "request", "scheduled_job"] {
            let scan = format!("Seq Scan on {table} ");
            let scanned = plans.iter().find(|plan| plan.contains(&scan));
            assert!(scanned.is_none(), "with {added} runs: {}", scanned.unwrap());
        }
    }
}

/// The rows that the nodes of a plan read from the queue.
fn queue_rows_read(plan: &str) -> usize {
    let lines: Vec<&str> = plan.split("\\n").flat_map(str::lines).collect();
    let number_after = |line: &str, word: &str| {
        let digits = line.split(word).last().filter(|_| line.contains(word))?;
        digits.split(|c: char| !c.is_ascii_digit()).next()?.parse::<usize>().ok()
    };
    let is_read =
        |line: &&str| line.contains(" on unfinished_run") && line.contains("(actual time=");
    let of_node = |(index, node): (usize, &&str)| {
        let removed = lines.iter().skip(index + 1).take(3);
        let removed = removed.filter_map(|line| number_after(line, "Rows Removed by Filter: "));
        let rows = number_after(node, "rows=").unwrap_or(0);
        (rows + removed.sum::<usize>()) * number_after(node, "loops=").unwrap_or(1)
    };
    lines.iter().enumerate().filter(|(_, line)| is_read(line)).map(of_node).sum()
}

#[tokio::test]
async fn a_look_reads_none_of_the_backlog_of_other_sources() {
    let world = World::new().await;
    let setup = world.app().await;
    create(&setup, "job").await;
    let backlog = "insert into unfinished_run (
            queue, source, rank_at, job_id, created_at, origin, queued, status, available_at
        )
        select 'job-' || g % 100, 'other', '2025-01-01', 'run-' || g, '2025-01-01', 'triggered', false,
            'pending', '2025-01-01'
        from generate_series(1, 20000) g";
    sqlx::query(backlog).execute(&world.pool).await.unwrap();
    sqlx::query("analyze").execute(&world.pool).await.unwrap();
    let explaining = explaining(&world).await;
    let app = explaining.app_with(Arc::new(Hub::start(world.pool.clone()).await.unwrap()));
    LazyLock::force(&SUBSCRIBER);
    for runs in [0, 3] {
        trigger_all(&app, runs).await;
        take("");
        assert_eq!(lease_many(&app, "worker", 10).await.len(), runs);
        let plans = take("sqlx::postgres::notice");
        assert!(plans.iter().any(|plan| plan.contains(" on unfinished_run")), "{plans:#?}");
        let read: usize = plans.iter().map(|plan| queue_rows_read(plan)).sum();
        assert!(read <= 40, "a look for {runs} runs reads {read} rows: {plans:#?}");
    }
}

async fn add_ended_runs_once(world: &World, count: i32, is_analyzed: bool) {
    if is_analyzed {
        sqlx::query("analyze").execute(&world.pool).await.unwrap();
    } else if count > 0 {
        sqlx::query("delete from run_event where xid = '3'").execute(&world.pool).await.unwrap();
        sqlx::query("delete from scraping_job where job_id ~ '^triggered_job_[0-9]{1,6}$'")
            .execute(&world.pool)
            .await
            .unwrap();
        add_ended_runs(world, count).await;
    }
}
