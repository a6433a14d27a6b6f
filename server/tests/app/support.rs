//! A database of its own for each test, with a manual clock; and builders for jobs, runs and leases.

#[path = "../support/database.rs"]
mod database;
#[path = "../support/eventually.rs"]
mod eventually;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;
use windrow_server::app::{
    App, AppError, Edit, Holder, LeaseRequest, Mode, NewScheduledJob, Trigger,
};
use windrow_server::clock::{Clock, ManualClock};
use windrow_server::domain::id::ScheduledJobId;
use windrow_server::domain::labels::Labels;
use windrow_server::domain::parameters::{ScrapeParameters, SourceNames};
use windrow_server::domain::policy::RunPolicy;
use windrow_server::domain::run::{Priority, Run};
use windrow_server::domain::scheduled_job::{ScheduledJob, SettingsDraft};
use windrow_server::domain::tick_policy::TickPolicy;
use windrow_server::watch::Hub;
use windrow_worker::{AttemptId, AttemptUpdate, HeartbeatItem, LocationResult, Outcome};

pub use self::eventually::eventually;

pub const LEASE: Duration = Duration::from_secs(20);
/// Workers could extend their leases since then.
pub const LONG_AGO: DateTime<Utc> = DateTime::UNIX_EPOCH;

/// A database with a clock that the test moves.
pub struct World {
    pub pool: PgPool,
    pub clock: Arc<ManualClock>,
}

impl World {
    /// A new database at 00:30:30.
    pub async fn new() -> Self {
        let pool = PgPool::connect(&database::new_database().await).await.unwrap();
        Self { pool, clock: Arc::new(ManualClock::at(at("2026-01-01T00:30:30Z"))) }
    }

    /// The use cases of another server on this database.
    pub async fn app(&self) -> App {
        self.app_with(Arc::new(Hub::start(self.pool.clone()).await.unwrap()))
    }

    /// Like [`Self::app`], with a hub that the test can inspect.
    pub fn app_with(&self, hub: Arc<Hub>) -> App {
        self.app_of(hub, "sample")
    }

    /// The use cases of another server that only has this source.
    pub async fn app_with_source(&self, source: &str) -> App {
        self.app_of(Arc::new(Hub::start(self.pool.clone()).await.unwrap()), source)
    }

    fn app_of(&self, hub: Arc<Hub>, source: &str) -> App {
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&self.clock);
        let names = BTreeSet::from([source.to_owned()]);
        App::new(self.pool.clone(), clock, hub, SourceNames { names, ..Default::default() })
            .named(format!("server-{}", rand::random::<u16>()))
    }

    pub fn pass(&self, seconds: i64) {
        self.clock.advance(TimeDelta::seconds(seconds));
    }
}

pub fn id(text: &str) -> ScheduledJobId {
    ScheduledJobId::parse(text).unwrap()
}

/// Decides all due ticks, none of which may fail. Returns the ids of the new runs.
pub async fn decide(app: &App) -> Vec<String> {
    let report = app.decide_due(&[], 100).await.unwrap();
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    report.fired.iter().map(ToString::to_string).collect()
}

pub fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Creates a job that is due every minute.
pub async fn create(app: &App, id: &str) -> ScheduledJob {
    let draft = SettingsDraft {
        name: format!("Job {id}"),
        cron_expression: "* * * * *".to_owned(),
        timezone: String::new(),
        parameters: parameters(),
        priority: Priority::Normal,
        labels: Labels::new(),
        policy: RunPolicy { backoff_jitter: Some(0.0), ..RunPolicy::default() },
        max_concurrent_runs: 0,
        ticks: TickPolicy::default(),
    };
    let id = Some(ScheduledJobId::parse(id).unwrap());
    let new = NewScheduledJob { id, draft, requested_by: "test".to_owned(), idempotency_key: None };
    app.create_scheduled_job(new, Mode::Commit).await.unwrap()
}

pub fn parameters() -> ScrapeParameters {
    ScrapeParameters {
        locations: ["Indianapolis, IN", "Carmel, IN"].map(str::to_owned).to_vec(),
        source: Some("sample".to_owned()),
        ..ScrapeParameters::default()
    }
}

pub async fn trigger(app: &App, id: &str, priority: Option<Priority>) -> Run {
    app.trigger(trigger_of(id, priority), Mode::Commit).await.unwrap().run
}

pub fn trigger_of(id: &str, priority: Option<Priority>) -> Trigger {
    Trigger {
        job_id: id.to_owned(),
        priority,
        overrides: ScrapeParameters::default(),
        labels: Labels::new(),
        requested_by: "test".to_owned(),
        idempotency_key: None,
    }
}

pub async fn lease(app: &App, worker: &str) -> Run {
    lease_many(app, worker, 1).await.pop().expect("a run is ready")
}

/// Leases runs to a new worker, which holds no attempt yet.
pub async fn lease_many(app: &App, worker: &str, capacity: usize) -> Vec<Run> {
    let sources = BTreeSet::from(["sample".to_owned()]);
    let worker_id = &format!("{worker}-{:x}", rand::random::<u64>());
    let request = LeaseRequest { worker_id, sources: &sources, capacity, lease: LEASE, held: &[] };
    app.lease_runs(&request).await.unwrap()
}

/// The worker that holds the lease of a run, with its attempt.
pub fn holder(run: &Run) -> Holder {
    Holder { worker_id: Some(worker_of(run).to_owned()), attempt: attempt(run) }
}

/// The worker that holds the lease of a run.
pub fn worker_of(run: &Run) -> &str {
    &run.state.lease.as_ref().expect("the run is leased").worker_id
}

pub fn attempt(run: &Run) -> AttemptId {
    AttemptId { job_id: run.spec.id.to_string(), attempt: run.state.attempt }
}

/// The heartbeat item of a run's attempt.
pub fn heartbeat_item(run: &Run, update: AttemptUpdate) -> HeartbeatItem {
    HeartbeatItem { id: attempt(run), update, cancel_acknowledged: false }
}

/// The update of an attempt that has completed locations.
pub fn done(locations: &[&str]) -> AttemptUpdate {
    let result =
        |location: &&str| LocationResult { location: (*location).to_owned(), failure: None };
    AttemptUpdate { results: locations.iter().map(result).collect(), lines: Vec::new() }
}

/// Finishes an attempt that has completed all its locations.
pub async fn complete(app: &App, run: &Run) -> Result<Run, AppError> {
    let locations: Vec<&str> = run.spec.parameters.locations.iter().map(String::as_str).collect();
    app.finish(&holder(run), Outcome::Done, done(&locations)).await
}

pub async fn job(app: &App, id: &str) -> ScheduledJob {
    app.get_scheduled_job(&ScheduledJobId::parse(id).unwrap(), 0).await.unwrap().0
}

pub async fn runs(app: &App, id: &str) -> Vec<Run> {
    app.get_scheduled_job(&ScheduledJobId::parse(id).unwrap(), 1_000).await.unwrap().1
}

pub async fn update(
    app: &App,
    id: &str,
    change: impl Fn(&mut SettingsDraft) + Send + Sync,
) -> ScheduledJob {
    let id = &ScheduledJobId::parse(id).unwrap();
    let edit = Edit { id, etag: "", changed_by: "test", mode: Mode::Commit };
    app.update_scheduled_job(edit, &change).await.unwrap()
}

/// The ledger of a job as rows of first tick, last tick and decision.
pub async fn ledger(pool: &PgPool, id: &str) -> Vec<(String, String, String)> {
    sqlx::query_as(
        "select to_char(tick_at, 'HH24:MI'), to_char(until, 'HH24:MI'), decision from tick
         where scheduled_job_id = $1 order by tick_at",
    )
    .bind(id)
    .fetch_all(pool)
    .await
    .unwrap()
}

pub fn row(first: &str, last: &str, decision: &str) -> (String, String, String) {
    (first.to_owned(), last.to_owned(), decision.to_owned())
}
