//! A complete server. It starts its parts in order and stops them in reverse.
//!
//! ```text
//! database ─▶ clock, hub ─▶ use cases ─▶ loops ─▶ gRPC                        (start)
//! draining: health NOT_SERVING, no new leases ─▶ runs finish or go back to pending
//!     ─▶ closing: watches UNAVAILABLE, last responses ─▶ loops ─▶ database    (stop)
//! ```

mod database;
mod exposure;
mod listening;
mod loops;
mod offline;
mod samples;
mod starting;

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

pub use self::exposure::Exposure;
pub use self::offline::OfflineApp;

use self::database::OpenDatabase;
use self::listening::Listening;
use self::loops::{Loops, Parts};
use self::starting::step;
use crate::app::{App, AppError, IgnoredFields, WatchLimits};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, ListenAddress};
use crate::domain::parameters::SourceNames;
use crate::engine::Timekeeper;
use crate::error_chain::error_chain;
use crate::grpc::{self, CallLimits, Shutdown, WorkerTiming};
use crate::listener::{Counts, Tls, TlsError};
use crate::metrics::Metrics;
use crate::sources::{InvalidSource, SAMPLE, SourceRegistry};
use crate::store::{ConnectError, SchemaError, StoreError};
use crate::supervisor::Supervisor;
use crate::watch::Hub;

/// Limit for answering the last calls.
const LAST_CALLS_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("failed to start the embedded Postgres")]
    Embedded(#[from] windrow_embedded_postgres::Error),
    #[error("--database-url: {0}")]
    DatabaseUrl(String),
    #[error(transparent)]
    Database(#[from] ConnectError),
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error("invalid source settings")]
    Source(#[from] InvalidSource),
    #[error("failed to listen on {address}; choose another address with --{flag}")]
    Listen { address: ListenAddress, flag: &'static str, source: io::Error },
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("{0}")]
    Exposed(Exposure),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    App(#[from] AppError),
    #[error("stopped while starting")]
    Stopped,
}

#[derive(Debug)]
pub struct Server;

/// A running server. Dropped without [`Running::stop`] it leaves its runs to other workers.
pub struct Running {
    address: SocketAddr,
    metrics: Option<MetricsServer>,
    tls: Option<Arc<Tls>>,
    stop_grace: Duration,
    stopping: Shutdown,
    serving: JoinHandle<Result<(), tonic::transport::Error>>,
    loops: Loops,
    database: OpenDatabase,
}

struct MetricsServer {
    address: SocketAddr,
    serving: JoinHandle<io::Result<()>>,
}

impl Server {
    /// Returns when the server accepts calls.
    pub async fn start(config: Config) -> Result<Running, StartError> {
        Self::start_unless(config, &CancellationToken::new()).await
    }

    /// Returns when the server accepts calls. Ends with [`StartError::Stopped`] when `stop` is cancelled
    /// before, and leaves nothing running.
    pub async fn start_unless(
        config: Config,
        stop: &CancellationToken,
    ) -> Result<Running, StartError> {
        let sources = SourceRegistry::from_settings(&config.sources)?;
        let Listening { grpc: listener, address, metrics: metrics_listener, tls, exposed } =
            Listening::open(&config, stop).await?;
        let database = OpenDatabase::open(&config, stop).await?;
        let edge = (listener.counts(), tls.clone());
        let starting = Self::start_on(&database, &config, sources, edge);
        let started = step(stop, "the database", starting).await;
        let (app, loops, metrics) = match started {
            Ok(started) => started,
            Err(error) => {
                database.close().await;
                return Err(error);
            }
        };
        loops.keep_edge(tls.clone(), exposed);
        let stopping = Shutdown::default();
        let timing = WorkerTiming { lease: config.lease, heartbeat: config.heartbeat };
        let limits = CallLimits {
            watches: config.max_watches,
            watches_per_client: config.max_watches_per_client,
            database_connections: database.pool.max_size(),
            connection_age: config.max_connection_age,
        };
        let others = listener.other_addresses();
        let serving = grpc::serve(app, listener, stopping.clone(), timing, limits);
        let serving = Supervisor::default().work(serving);
        info!("Serving on {address}");
        for other in others {
            info!("Also serving on {other}");
        }
        let metrics = metrics_listener.map(|(listener, address)| {
            let scheme = if tls.is_some() { "https" } else { "http" };
            info!("Serving metrics on {scheme}://{address}/metrics");
            let serving = Supervisor::default().work(metrics.serve(listener));
            MetricsServer { address, serving }
        });
        let stop_grace = config.stop_grace;
        Ok(Running { address, metrics, tls, stop_grace, stopping, serving, loops, database })
    }

    async fn start_on(
        database: &OpenDatabase,
        config: &Config,
        sources: SourceRegistry,
        (connections, tls): (Arc<Counts>, Option<Arc<Tls>>),
    ) -> Result<(Arc<App>, Loops, Metrics), StartError> {
        let names = source_names(&sources, database);
        let (app, hub, timekeeper) = Self::app_on(database, config, names).await?;
        if database.embedded.is_some() {
            samples::create_in_new(&app).await?;
        }
        // Before a run is leased here, so that a lower limit of another server holds from the start.
        app.share_source_limits().await?;
        let metrics = Metrics {
            app: Arc::clone(&app),
            hub: Arc::clone(&hub),
            clock: timekeeper.clock(),
            pool: database.pool.clone(),
            connections,
            tls,
        };
        let embedded = database.embedded.clone();
        let parts = Parts { app: Arc::clone(&app), hub, timekeeper, embedded, sources, config };
        Ok((app, Loops::start(parts), metrics))
    }

    async fn app_on(
        database: &OpenDatabase,
        config: &Config,
        sources: SourceNames,
    ) -> Result<(Arc<App>, Arc<Hub>, Timekeeper), StartError> {
        let hub = Arc::new(Hub::start(database.pool.clone()).await?);
        let corrected = Arc::new(SystemClock::default());
        let clock: Arc<dyn Clock> = Arc::<SystemClock>::clone(&corrected);
        let app = App::new(database.pool.clone(), clock, Arc::clone(&hub), sources);
        let limits =
            config.source_limits.iter().map(|(name, limit)| (name.clone(), i64::from(*limit)));
        let ignored = config.ignored_fields.iter();
        let ignored = ignored.map(|(name, it)| (name.clone(), IgnoredFields::new(it.clone())));
        let watches =
            WatchLimits { in_total: config.max_watches, per_client: config.max_watches_per_client };
        let app = app
            .with_source_limits(limits.collect())
            .with_ignored_fields(ignored.collect())
            .with_watch_limits(watches)
            .with_event_retention(config.event_retention);
        let app = Arc::new(app.named(server_name()));
        let timekeeper = Timekeeper::new(Arc::clone(&app), corrected);
        timekeeper.tick().await?;
        Ok((app, hub, timekeeper))
    }

    /// Migrates the database schema.
    pub async fn migrate(config: &Config, stop: &CancellationToken) -> Result<(), StartError> {
        OpenDatabase::open(config, stop).await?.close().await;
        Ok(())
    }
}

impl Running {
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// The address of its metrics, if they are served.
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(|metrics| metrics.address)
    }

    /// Reads the files of TLS again now. They are also read when they change.
    pub fn reload_certificate(&self) {
        if let Some(tls) = &self.tls {
            tls.reload();
        }
    }

    /// Stops cleanly: runs in progress have the grace period to finish, then go back to pending.
    pub async fn stop(mut self) {
        info!("Stopping; runs in progress have {:?} to finish", self.stop_grace);
        self.stopping.draining.cancel();
        self.loops.drain(self.stop_grace).await;
        self.stopping.closing.cancel();
        match tokio::time::timeout(LAST_CALLS_TIMEOUT, &mut self.serving).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => error!(error = error_chain(&error), "gRPC server failed"),
            Ok(Err(error)) => error!(error = error_chain(&error), "gRPC server failed"),
            Err(_) => {
                self.serving.abort();
                warn!("Closed calls that were still open after {LAST_CALLS_TIMEOUT:?}");
            }
        }
        if let Some(metrics) = self.metrics {
            metrics.serving.abort();
        }
        self.loops.stop().await;
        self.database.close().await;
        info!("Stopped");
    }
}

/// Names host and process; unique even after a restart.
fn server_name() -> String {
    let system = rustix::system::uname();
    let host = system.nodename().to_string_lossy();
    format!("{host}-{}-{:06x}", std::process::id(), rand::random::<u32>() & 0xff_ffff)
}

/// In an embedded database runs use sample data by default; elsewhere they must name a source.
fn source_names(sources: &SourceRegistry, database: &OpenDatabase) -> SourceNames {
    let names: BTreeSet<String> = sources.names().into_iter().collect();
    let default = database.embedded.as_ref().map(|_| SAMPLE.to_owned());
    SourceNames { names, executed: sources.executed().into_keys().collect(), default }
}
