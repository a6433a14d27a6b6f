//! What a server is told, from flags, the environment and `windrow.toml`, in this order, then defaults.
//!
//! Everything is parsed and checked here, once, and every error begins with the place of the bad
//! setting. No other module reads the environment. Errors never hold a database URL.

mod file;
mod key;
mod parse;
mod render;
mod resolve;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::sources::SourceSettings;

pub use self::key::Key;
pub use self::resolve::{Environment, Resolved};

/// What a server is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where gRPC clients and workers connect.
    pub listen: SocketAddr,
    /// Where Prometheus reads the metrics; nowhere unless set.
    pub metrics_listen: Option<SocketAddr>,
    /// Where the database is.
    pub database: Database,
    /// Most connections to the database at once.
    pub max_connections: u32,
    /// Most runs that this server executes at once.
    pub max_concurrent_runs: u32,
    /// How long running work may take to end when the server stops; may be zero.
    pub stop_grace: Duration,
    /// How long a worker may be silent before its run is given to another.
    pub lease: Duration,
    /// How often workers report at least, less than half of the lease. Cancellations need a second, so
    /// more than that counts as one.
    pub heartbeat: Duration,
    /// How long changes are kept for watchers to come back to.
    pub event_retention: Duration,
    /// Most watches at once.
    pub max_watches: u32,
    /// Most watches of one client at once.
    pub max_watches_per_client: u32,
    /// What is logged, and how.
    pub log: LogSettings,
    /// The sources of the settings file by name. The built-in sample is not among them.
    pub sources: BTreeMap<String, SourceSettings>,
    /// How many runs of a source may be running at once, on all servers and workers.
    pub source_limits: BTreeMap<String, u32>,
    /// For tests: every schedule is due every so often.
    pub tick_every: Option<Duration>,
}

impl Config {
    /// The defaults, which a test compares with [`Key::default_text`].
    pub fn new(database: Database) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 50051)),
            metrics_listen: None,
            database,
            max_connections: 16,
            max_concurrent_runs: 4,
            stop_grace: Duration::from_secs(20),
            lease: Duration::from_secs(20),
            heartbeat: Duration::from_secs(5),
            event_retention: Duration::from_hours(7 * 24),
            max_watches: 10_000,
            max_watches_per_client: 1_000,
            log: LogSettings { filter: "info".to_owned(), format: LogFormat::Text },
            sources: BTreeMap::new(),
            source_limits: BTreeMap::new(),
            tick_every: None,
        }
    }
}

/// Where the database is.
#[derive(Clone, PartialEq, Eq)]
pub enum Database {
    /// Somebody's Postgres, by its URL, which may hold a password.
    Url(String),
    /// The server's own Postgres.
    Embedded {
        /// Where it keeps its data.
        data_dir: PathBuf,
        /// Where `initdb` and `postgres` are; sought unless set.
        postgres_bin_dir: Option<PathBuf>,
    },
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => f.debug_tuple("Url").field(&parse::hide_passwords(url)).finish(),
            Self::Embedded { data_dir, postgres_bin_dir } => f
                .debug_struct("Embedded")
                .field("data_dir", data_dir)
                .field("postgres_bin_dir", postgres_bin_dir)
                .finish(),
        }
    }
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// Directives such as `info` or `windrow_server=debug,sqlx=warn`.
    pub filter: String,
    /// The form of log lines.
    pub format: LogFormat,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    /// For machines: one JSON object per line.
    Json,
}

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct ConfigError {
    /// Where it was set: a flag, a variable, or a file and its line.
    pub place: String,
    /// What is wrong, without passwords.
    pub reason: String,
}

impl ConfigError {
    fn new(place: &(impl ToString + ?Sized), reason: impl Into<String>) -> Self {
        Self { place: place.to_string(), reason: reason.into() }
    }
}
