//! The use cases, called by the gRPC services and by the background loops.
//!
//! A use case reads the clock once, decides with `domain`, and writes through `store` in one transaction,
//! unless it says that it works in batches. Nothing here depends on a protocol.
//!
//! **Lock order**: schedule, then runs by id, then history by id. Every transaction follows it, so
//! that transactions cannot deadlock.

mod backfills;
mod error;
mod explain;
mod group_commit;
mod import;
mod incremental;
mod leases;
mod logs;
mod maintenance;
mod moved_ticks;
mod page;
mod pending_reasons;
mod properties;
mod rearm;
mod requests;
mod run_log;
mod runs;
mod scheduled_jobs;
mod signals;
mod source_limits;
mod statistics;
mod tick_plans;
mod tick_queries;
mod ticks;
mod watches;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::pool::PoolConnection;
use sqlx::{Postgres, Transaction};
use tokio::sync::watch;

pub use self::backfills::{Backfill, BackfillResult, Backfilled, BackfilledTick};
pub use self::error::AppError;
pub(crate) use self::error::join_violations;
pub use self::explain::{Explanation, TickState};
pub use self::import::{ImportedRuns, Ticks};
pub use self::leases::{Holder, LeaseRequest, heartbeat_interval};
pub use self::moved_ticks::MovedTicks;
pub use self::page::Page;
pub use self::properties::{IgnoredFields, PropertyDetail};
pub use self::requests::IdempotencyKey;
pub use self::runs::{Cancelled, RetryRequest, RunPage, RunQuery, Submission, Trigger, Triggered};
pub use self::scheduled_jobs::{Edit, HeldTicks, JobPage, JobQuery, NewScheduledJob};
pub use self::signals::Signals;
use self::signals::Work;
pub use self::source_limits::Disagreement;
pub use self::statistics::JobStatistics;
pub use self::tick_queries::{Preview, Previewed};
pub use self::ticks::TickReport;
pub use self::watches::Watcher;
pub use crate::watch::{
    Detail, Start, TooManyWatches, Update, WatchError, WatchLimits, WatchedRun,
};

use self::group_commit::GroupCommit;
use self::leases::{AttemptCall, LeaseCall, LeaseCheck, Sighting};
use self::properties::ReportCall;
use self::runs::{Creation, JobCache};
use crate::clock::Clock;
use crate::domain::parameters::SourceNames;
use crate::store::{self, Pool, StoreError};
use crate::watch::{Hub, WatchLimiter};

/// Whether a use case writes or only validates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Commit,
    /// Validate, and return the result that a commit would have.
    ValidateOnly,
}

/// The use cases with everything they depend on. Shared by all services and loops of a server.
pub struct App {
    pool: Pool,
    clock: Arc<dyn Clock>,
    signals: Arc<Signals>,
    hub: Arc<Hub>,
    creations: GroupCommit<Creation>,
    jobs: JobCache,
    attempts: GroupCommit<AttemptCall>,
    reports: GroupCommit<ReportCall>,
    leases: GroupCommit<LeaseCall>,
    lease_checks: GroupCommit<LeaseCheck>,
    sightings: GroupCommit<Sighting>,
    limiter: Arc<WatchLimiter>,
    sources: SourceNames,
    own_source_limits: BTreeMap<String, i64>,
    /// Those of all servers together.
    source_limits: watch::Sender<Arc<BTreeMap<String, i64>>>,
    ignored_fields: Arc<BTreeMap<String, IgnoredFields>>,
    /// Recorded in the ledger with every tick that this server decides.
    server: String,
    event_retention: Duration,
    /// Jobs whose ticks were decided under a clock that was ahead, at the last look.
    jobs_ahead: AtomicI64,
}

const DEFAULT_EVENT_RETENTION: Duration = Duration::from_hours(7 * 24);

impl App {
    pub fn new(
        pool: impl Into<Pool>,
        clock: Arc<dyn Clock>,
        hub: Arc<Hub>,
        sources: SourceNames,
    ) -> Self {
        let pool = pool.into();
        let signals = Arc::new(Signals::default());
        let committed = {
            let (hub, signals) = (Arc::clone(&hub), Arc::clone(&signals));
            move |work: Work| {
                events_committed(&hub, &signals);
                signals.work_available.send(&work);
            }
        };
        Self {
            creations: GroupCommit::new(pool.clone(), committed.clone()),
            jobs: JobCache::default(),
            attempts: GroupCommit::new(pool.clone(), committed.clone()),
            reports: GroupCommit::new(pool.clone(), committed.clone()),
            leases: GroupCommit::new(pool.clone(), committed),
            // An extension is no event.
            lease_checks: GroupCommit::new(pool.clone(), |_work| {}),
            sightings: GroupCommit::new(pool.clone(), |_work| {}),
            pool,
            clock,
            signals,
            hub,
            limiter: Arc::default(),
            sources,
            own_source_limits: BTreeMap::new(),
            source_limits: watch::Sender::default(),
            ignored_fields: Arc::default(),
            server: String::new(),
            event_retention: DEFAULT_EVENT_RETENTION,
            jobs_ahead: AtomicI64::new(0),
        }
    }

    /// Sets the retention of events, that is, how long a watch can be resumed.
    #[must_use]
    pub fn with_event_retention(self, retention: Duration) -> Self {
        Self { event_retention: retention, ..self }
    }

    /// Sets the limits on open watches.
    #[must_use]
    pub fn with_watch_limits(self, limits: WatchLimits) -> Self {
        Self { limiter: Arc::new(WatchLimiter::new(limits)), ..self }
    }

    /// Sets the maximum number of concurrent runs of each source, on all servers and workers together. Other servers
    /// may set lower ones: see [`Self::share_source_limits`].
    #[must_use]
    pub fn with_source_limits(self, source_limits: BTreeMap<String, i64>) -> Self {
        self.source_limits.send_replace(Arc::new(source_limits.clone()));
        Self { own_source_limits: source_limits, ..self }
    }

    /// Sets the fields of each source that do not count as a change.
    #[must_use]
    pub fn with_ignored_fields(self, ignored_fields: BTreeMap<String, IgnoredFields>) -> Self {
        Self { ignored_fields: Arc::new(ignored_fields), ..self }
    }

    /// Sets the name of this server, which must be unique.
    #[must_use]
    pub fn named(self, server: String) -> Self {
        Self { server, ..self }
    }

    /// The current time by the database's clock.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    pub fn signals(&self) -> &Signals {
        &self.signals
    }

    /// Wakes watches on this server, and the loop that notifies other servers.
    fn events_committed(&self) {
        events_committed(&self.hub, &self.signals);
    }

    /// Signals committed events, and that a run may be ready to be leased.
    fn work_committed(&self) {
        self.events_committed();
        self.signals.work_available.send(&Work::uncounted());
    }

    /// The name of this server, which is also the id of its worker and appears in the tick ledger.
    pub fn server(&self) -> &str {
        &self.server
    }

    pub fn sources(&self) -> &SourceNames {
        &self.sources
    }

    async fn begin(&self) -> Result<Transaction<'static, Postgres>, AppError> {
        Ok(store::begin(&self.pool).await?)
    }

    async fn begin_snapshot(&self) -> Result<Transaction<'static, Postgres>, AppError> {
        Ok(store::begin_snapshot(&self.pool).await?)
    }

    async fn acquire(&self) -> Result<PoolConnection<Postgres>, AppError> {
        Ok(self.pool.acquire().await?)
    }
}

fn events_committed(hub: &Hub, signals: &Signals) {
    hub.wake();
    signals.events_committed.notify_one();
}

async fn commit(tx: Transaction<'static, Postgres>) -> Result<(), AppError> {
    Ok(tx.commit().await.map_err(StoreError::from)?)
}
