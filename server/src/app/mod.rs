//! The use cases: what every edge calls, whether a request or the time asks for it.
//!
//! A use case reads the clock once, decides with `domain`, and writes in one transaction through
//! `store`. It knows no protocol. Lock order: schedule, runs by id, history by id.

mod backfills;
mod error;
mod explain;
mod import;
mod incremental;
mod leases;
mod logs;
mod maintenance;
mod page;
mod properties;
mod requests;
mod runs;
mod scheduled_jobs;
mod signals;
mod statistics;
mod tick_queries;
mod ticks;
mod waits;
mod watches;
mod write_runs;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres, Transaction};

pub use self::backfills::{Backfill, Backfilled, BackfilledTick};
pub use self::error::AppError;
pub(crate) use self::error::join_violations;
pub use self::explain::{Explanation, TickState};
pub use self::import::ImportedRuns;
pub use self::leases::{LeaseRequest, heartbeat_interval};
pub use self::page::Page;
pub use self::properties::PropertyDetail;
pub use self::requests::IdempotencyKey;
pub use self::runs::{Cancelled, RetryRequest, RunPage, RunQuery, Submission, Trigger, Triggered};
pub use self::scheduled_jobs::{Edit, HeldTicks, JobPage, JobQuery, NewScheduledJob};
pub use self::signals::Signals;
pub use self::statistics::JobStatistics;
pub use self::tick_queries::{LedgerEntry, Preview, Previewed};
pub use self::ticks::TickReport;
pub use self::watches::Watcher;
pub use crate::store::logs::LogFilter;
pub use crate::store::parameters_json;
pub use crate::store::properties::{FieldChange, Property, PropertyChange, PropertyFilter};
pub use crate::watch::{Start, TooManyWatches, Update, WatchLimits};

use crate::clock::Clock;
use crate::domain::parameters::SourceNames;
use crate::domain::schedule::Schedule;
use crate::store::{self, StoreError};
use crate::watch::{Hub, WatchLimiter};

/// Whether a use case writes or only checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Commit,
    /// Check, and return what would be.
    ValidateOnly,
}

/// Everything that the use cases stand on. Shared by all edges and loops of a server.
pub struct App {
    pool: PgPool,
    clock: Arc<dyn Clock>,
    signals: Signals,
    hub: Arc<Hub>,
    limiter: Arc<WatchLimiter>,
    sources: SourceNames,
    source_limits: BTreeMap<String, i64>,
    tick_every: Option<Duration>,
    /// Who decides ticks, as the ledger has it.
    server: String,
    event_retention: Duration,
}

/// How long events are kept unless it is said.
const EVENT_RETENTION: Duration = Duration::from_hours(7 * 24);

impl App {
    /// Use cases over `pool`.
    pub fn new(pool: PgPool, clock: Arc<dyn Clock>, hub: Arc<Hub>, sources: SourceNames) -> Self {
        Self {
            pool,
            clock,
            signals: Signals::default(),
            hub,
            limiter: Arc::default(),
            sources,
            source_limits: BTreeMap::new(),
            tick_every: None,
            server: String::new(),
            event_retention: EVENT_RETENTION,
        }
    }

    /// How long events are kept for watchers to come back to.
    #[must_use]
    pub fn with_event_retention(self, retention: Duration) -> Self {
        Self { event_retention: retention, ..self }
    }

    /// How many watches there may be.
    #[must_use]
    pub fn with_watch_limits(self, limits: WatchLimits) -> Self {
        Self { limiter: Arc::new(WatchLimiter::new(limits)), ..self }
    }

    /// Runs of a source that may be running at once, on all servers and workers.
    #[must_use]
    pub fn with_source_limits(self, source_limits: BTreeMap<String, i64>) -> Self {
        Self { source_limits, ..self }
    }

    /// The name of this server, which nobody else has.
    #[must_use]
    pub fn named(self, server: String) -> Self {
        Self { server, ..self }
    }

    /// For tests, which cannot wait for minutes: every schedule is due every `period`.
    #[must_use]
    pub fn with_ticks_every(self, period: Option<Duration>) -> Self {
        Self { tick_every: period, ..self }
    }

    /// The time by the database's clock.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// What the use cases signal.
    pub fn signals(&self) -> &Signals {
        &self.signals
    }

    /// Events were committed: wake the watches here, and tell other servers.
    fn events_written(&self) {
        self.hub.wake();
        self.signals.notifier.notify_one();
    }

    /// The name of this server: of its worker, and in the tick ledger.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The sources of this server.
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
        Ok(self.pool.acquire().await.map_err(StoreError::from)?)
    }

    /// The schedule as tests may have sped it up.
    fn timed(&self, schedule: Schedule) -> Schedule {
        match self.tick_every {
            Some(period) => schedule.sped_up(period),
            None => schedule,
        }
    }
}

async fn commit(tx: Transaction<'static, Postgres>) -> Result<(), AppError> {
    Ok(tx.commit().await.map_err(StoreError::from)?)
}
