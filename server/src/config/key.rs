//! The settings by name: what each is called as a flag, a variable and a key of `windrow.toml`.

use crate::cli::Flags;

/// A setting that has one value. Sources are tables and stand only in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The address to listen on.
    Listen,
    /// Where Prometheus reads the metrics.
    MetricsListen,
    /// The Postgres to use, in place of the server's own.
    DatabaseUrl,
    /// Where the server's own Postgres keeps its data.
    DataDir,
    /// Where the programs of the server's own Postgres are.
    PostgresBinDir,
    /// The size of the connection pool.
    MaxConnections,
    /// How many runs the server executes at once.
    MaxConcurrentRuns,
    /// How long a stop waits for running work.
    StopGrace,
    /// How long a worker may be silent.
    Lease,
    /// How often a worker reports.
    Heartbeat,
    /// How long changes are kept for watchers.
    EventRetention,
    /// How many watches there may be.
    MaxWatches,
    /// How many of them one client may have.
    MaxWatchesPerClient,
    Log,
    /// The form of log lines.
    LogFormat,
}

impl Key {
    /// Every key, in the order in which the settings are printed.
    pub const ALL: [Self; 15] = [
        Self::Listen,
        Self::MetricsListen,
        Self::DatabaseUrl,
        Self::DataDir,
        Self::PostgresBinDir,
        Self::MaxConnections,
        Self::MaxConcurrentRuns,
        Self::StopGrace,
        Self::Lease,
        Self::Heartbeat,
        Self::EventRetention,
        Self::MaxWatches,
        Self::MaxWatchesPerClient,
        Self::Log,
        Self::LogFormat,
    ];

    /// The key in `windrow.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Listen => "listen",
            Self::MetricsListen => "metrics_listen",
            Self::DatabaseUrl => "database_url",
            Self::DataDir => "data_dir",
            Self::PostgresBinDir => "postgres_bin_dir",
            Self::MaxConnections => "max_connections",
            Self::MaxConcurrentRuns => "max_concurrent_runs",
            Self::StopGrace => "stop_grace",
            Self::Lease => "lease",
            Self::Heartbeat => "heartbeat",
            Self::EventRetention => "event_retention",
            Self::MaxWatches => "max_watches",
            Self::MaxWatchesPerClient => "max_watches_per_client",
            Self::Log => "log",
            Self::LogFormat => "log_format",
        }
    }

    /// The key with this name in `windrow.toml`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.name() == name)
    }

    /// The flag, with its dashes.
    pub fn flag(self) -> String {
        format!("--{}", self.name().replace('_', "-"))
    }

    /// The environment variable, if the setting has one.
    pub fn variable(self) -> Option<&'static str> {
        match self {
            Self::Listen => Some("WINDROW_LISTEN"),
            Self::MetricsListen => Some("WINDROW_METRICS_LISTEN"),
            Self::DatabaseUrl => Some("DATABASE_URL"),
            Self::DataDir => Some("WINDROW_DATA_DIR"),
            Self::PostgresBinDir => Some("WINDROW_POSTGRES_BIN_DIR"),
            Self::Log => Some("WINDROW_LOG"),
            Self::LogFormat => Some("WINDROW_LOG_FORMAT"),
            Self::MaxConnections
            | Self::MaxConcurrentRuns
            | Self::StopGrace
            | Self::Lease
            | Self::Heartbeat
            | Self::EventRetention
            | Self::MaxWatches
            | Self::MaxWatchesPerClient => None,
        }
    }

    /// The default, if it is the same for everybody.
    pub fn default_text(self) -> Option<&'static str> {
        match self {
            Self::Listen => Some("127.0.0.1:50051"),
            Self::MaxConnections => Some("16"),
            Self::MaxConcurrentRuns => Some("4"),
            Self::StopGrace | Self::Lease => Some("20s"),
            Self::Heartbeat => Some("5s"),
            Self::EventRetention => Some("7d"),
            Self::MaxWatches => Some("10000"),
            Self::MaxWatchesPerClient => Some("1000"),
            Self::Log => Some("info"),
            Self::LogFormat => Some("text"),
            Self::MetricsListen | Self::DatabaseUrl | Self::DataDir | Self::PostgresBinDir => None,
        }
    }

    /// What was given as a flag.
    pub fn of(self, flags: &Flags) -> Option<&str> {
        match self {
            Self::Listen => &flags.listen,
            Self::MetricsListen => &flags.metrics_listen,
            Self::DatabaseUrl => &flags.database_url,
            Self::DataDir => &flags.data_dir,
            Self::PostgresBinDir => &flags.postgres_bin_dir,
            Self::MaxConnections => &flags.max_connections,
            Self::MaxConcurrentRuns => &flags.max_concurrent_runs,
            Self::StopGrace => &flags.stop_grace,
            Self::Lease => &flags.lease,
            Self::Heartbeat => &flags.heartbeat,
            Self::EventRetention => &flags.event_retention,
            Self::MaxWatches => &flags.max_watches,
            Self::MaxWatchesPerClient => &flags.max_watches_per_client,
            Self::Log => &flags.log,
            Self::LogFormat => &flags.log_format,
        }
        .as_deref()
    }

    /// Whether `windrow.toml` has a bare number for it; all else is a string.
    pub(super) fn is_number(self) -> bool {
        matches!(
            self,
            Self::MaxConnections
                | Self::MaxConcurrentRuns
                | Self::MaxWatches
                | Self::MaxWatchesPerClient
        )
    }
}
