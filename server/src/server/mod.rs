//! A whole server: started in order, stopped in the opposite one.
//!
//! ```text
//! database ─▶ clock, hub ─▶ use cases ─▶ loops ─▶ gRPC            (start)
//! draining: health NOT_SERVING, no new work ─▶ work ends or goes back to pending
//!     ─▶ closing: watches UNAVAILABLE, last answers ─▶ loops ─▶ database        (stop)
//! ```

mod database;
mod loops;
mod samples;

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

use self::database::OpenDatabase;
use self::loops::{Loops, Parts};
use crate::app::{App, AppError, WatchLimits};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::domain::parameters::SourceNames;
use crate::engine::Timekeeper;
use crate::error_chain::error_chain;
use crate::grpc::{self, Shutdown, WorkerTiming};
use crate::metrics::Metrics;
use crate::sources::{InvalidSource, SAMPLE, SourceRegistry};
use crate::store::StoreError;
use crate::supervisor::Supervisor;
use crate::watch::Hub;

/// How long the last calls may take to be answered.
const LAST_CALLS: Duration = Duration::from_secs(5);

/// Why a server could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The embedded Postgres did not come up.
    #[error("the embedded database cannot be used")]
    Embedded(#[from] windrow_embedded_postgres::Error),
    /// The database's URL cannot be read.
    #[error("the database's URL cannot be read")]
    DatabaseUrl(#[source] sqlx::Error),
    /// The database cannot be reached.
    #[error("the database cannot be reached")]
    Database(#[source] sqlx::Error),
    /// The schema cannot be brought up to date.
    #[error("the database's schema cannot be brought up to date")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The settings of a source cannot be used.
    #[error("the settings cannot be used")]
    Source(#[from] InvalidSource),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        address: SocketAddr,
        /// The reason the system gave.
        source: io::Error,
    },
    /// The database failed during the start.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A use case failed during the start.
    #[error(transparent)]
    App(#[from] AppError),
}

#[derive(Debug)]
pub struct Server;

/// A server that is serving. Dropped without [`Running::stop`] it leaves its work to be taken over.
pub struct Running {
    address: SocketAddr,
    metrics: Option<Serving>,
    stop_grace: Duration,
    stopping: Shutdown,
    serving: JoinHandle<Result<(), tonic::transport::Error>>,
    loops: Loops,
    database: OpenDatabase,
}

/// Metrics, as long as this is held.
struct Serving {
    address: SocketAddr,
    serving: JoinHandle<io::Result<()>>,
}

/// The use cases, for a command that does something and is done. Close it.
pub struct OfflineApp {
    pub app: Arc<App>,
    database: OpenDatabase,
}

impl OfflineApp {
    /// Closes the database, and stops it if it is this process's own.
    pub async fn close(self) {
        self.database.close().await;
    }
}

impl Server {
    /// Starts a server; returns when it serves.
    pub async fn start(config: Config) -> Result<Running, StartError> {
        let sources = SourceRegistry::from_settings(&config.sources)?;
        let (listener, address) = listen(config.listen).await?;
        let metrics_listener = match config.metrics_listen {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        let database = OpenDatabase::open(&config).await?;
        let started = Self::start_on(&database, &config, sources).await;
        let (app, loops, metrics) = match started {
            Ok(started) => started,
            Err(error) => {
                database.close().await;
                return Err(error);
            }
        };
        let stopping = Shutdown::default();
        let terms = WorkerTiming { lease: config.lease, heartbeat: config.heartbeat };
        let watches = config.max_watches_per_client;
        let serving = grpc::serve(app, listener, stopping.clone(), terms, watches);
        let serving = Supervisor::default().work(serving);
        info!("Serving on {address}");
        let metrics = metrics_listener.map(|(listener, address)| {
            info!("Metrics are at http://{address}/metrics");
            let serving = Supervisor::default().work(metrics.serve(listener));
            Serving { address, serving }
        });
        let stop_grace = config.stop_grace;
        Ok(Running { address, metrics, stop_grace, stopping, serving, loops, database })
    }

    async fn start_on(
        database: &OpenDatabase,
        config: &Config,
        sources: SourceRegistry,
    ) -> Result<(Arc<App>, Loops, Metrics), StartError> {
        let names = source_names(&sources, database);
        let (app, hub, timekeeper) = Self::app_on(database, config, names).await?;
        if database.embedded.is_some() {
            samples::create_in_new(&app).await?;
        }
        let metrics = Metrics {
            app: Arc::clone(&app),
            hub: Arc::clone(&hub),
            clock: timekeeper.clock(),
            pool: database.pool.clone(),
        };
        let embedded = database.embedded.clone();
        let parts = Parts { app: Arc::clone(&app), hub, timekeeper, embedded, sources, config };
        Ok((app, Loops::start(parts), metrics))
    }

    /// The use cases on the database, up to date, without serving or executing anything.
    pub async fn open_offline(config: &Config) -> Result<OfflineApp, StartError> {
        let sources = SourceRegistry::from_settings(&config.sources)?;
        let database = OpenDatabase::open(config).await?;
        let names: BTreeSet<String> = sources.names().into_iter().collect();
        match Self::app_on(&database, config, SourceNames { names, default: None }).await {
            Ok((app, _, _)) => Ok(OfflineApp { app, database }),
            Err(error) => {
                database.close().await;
                Err(error)
            }
        }
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
        if let Some(every) = config.tick_every {
            warn!("For a test, every schedule is due every {every:?}, whatever it says");
        }
        let watches =
            WatchLimits { in_all: config.max_watches, per_client: config.max_watches_per_client };
        let app = app
            .with_ticks_every(config.tick_every)
            .with_source_limits(limits.collect())
            .with_watch_limits(watches)
            .with_event_retention(config.event_retention);
        let app = Arc::new(app.named(server_name()));
        let timekeeper = Timekeeper::new(Arc::clone(&app), corrected);
        timekeeper.tick().await?;
        Ok((app, hub, timekeeper))
    }

    /// Brings the database's schema up to date, and nothing else.
    pub async fn migrate(config: &Config) -> Result<(), StartError> {
        OpenDatabase::open(config).await?.close().await;
        Ok(())
    }
}

impl Running {
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Where its metrics are, if it has an address for them.
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(|metrics| metrics.address)
    }

    /// Stops: work in progress has the grace time to end, and goes back to pending after it.
    pub async fn stop(mut self) {
        info!("Shutdown; work in progress has {} seconds", self.stop_grace.as_secs());
        self.stopping.draining.cancel();
        self.loops.drain(self.stop_grace).await;
        self.stopping.closing.cancel();
        match tokio::time::timeout(LAST_CALLS, &mut self.serving).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => error!(error = error_chain(&error), "Serving ended badly"),
            Ok(Err(error)) => error!(error = error_chain(&error), "Serving ended badly"),
            Err(_) => {
                self.serving.abort();
                warn!("Some calls were still open");
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

/// Says where and which process, and is never used twice.
fn server_name() -> String {
    let system = rustix::system::uname();
    let host = system.nodename().to_string_lossy();
    format!("{host}-{}-{:06x}", std::process::id(), rand::random::<u32>() & 0xff_ffff)
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let refused = |source| StartError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    Ok((listener, address))
}

/// In an embedded database sample data harms nobody; elsewhere a source must be named.
fn source_names(sources: &SourceRegistry, database: &OpenDatabase) -> SourceNames {
    let names: BTreeSet<String> = sources.names().into_iter().collect();
    SourceNames { names, default: database.embedded.as_ref().map(|_| SAMPLE.to_owned()) }
}
