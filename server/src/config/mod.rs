//! The settings of a server: flags, then the environment, then `windrow.toml`, then defaults.
//!
//! Everything is parsed and checked here, once, and every error starts with the origin of the bad
//! setting. No other module reads settings from the environment. Errors never contain a database URL.

mod address;
mod database_url;
mod environment;
mod exposed;
mod file;
mod flags;
mod overrides;
mod parse;
#[cfg(test)]
mod reference;
mod render;
mod resolve;
mod setting;
mod settings;
mod source_keys;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::sources::SourceSettings;

pub use self::address::ListenAddress;
pub use self::database_url::connect_options;
pub use self::environment::Environment;
pub use self::flags::Flags;
pub use self::resolve::Resolved;
pub use self::setting::{DefaultValue, Group, Kind, Setting};
pub use self::settings::SETTINGS;

/// All settings of a server, checked.
#[derive(Clone, Debug)]
pub struct Config {
    pub listen: ListenAddress,
    pub metrics_listen: Option<ListenAddress>,
    pub tls: TlsSettings,
    /// Serve other machines without TLS or client certificates.
    pub insecure: bool,
    /// For each address of another machine.
    pub max_connections_per_address: u32,
    pub max_connection_age: Option<Duration>,
    pub database: Database,
    pub max_connections: u32,
    pub max_concurrent_runs: u32,
    pub stop_grace: Duration,
    pub lease: Duration,
    /// Less than half of the lease. Cancellations are delivered within a second, so a longer
    /// interval counts as one second.
    pub heartbeat: Duration,
    pub event_retention: Duration,
    pub max_watches: u32,
    pub max_watches_per_client: u32,
    pub time_zones: TimeZoneSettings,
    pub log: LogSettings,
    /// The sources of the settings file, by name; without the built-in sample.
    pub sources: BTreeMap<String, SourceSettings>,
    /// Maximum concurrent runs by source, across all servers and workers.
    pub source_limits: BTreeMap<String, u32>,
    /// Fields that do not count as a change, by source.
    pub ignored_fields: BTreeMap<String, BTreeSet<String>>,
}

impl Config {
    /// The defaults of [`SETTINGS`], on this database.
    pub fn new(database: Database) -> Self {
        let mut config = Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into(),
            metrics_listen: None,
            tls: TlsSettings::default(),
            insecure: false,
            max_connections_per_address: 0,
            max_connection_age: None,
            database,
            max_connections: 0,
            max_concurrent_runs: 0,
            stop_grace: Duration::ZERO,
            lease: Duration::ZERO,
            heartbeat: Duration::ZERO,
            event_retention: Duration::ZERO,
            max_watches: 0,
            max_watches_per_client: 0,
            time_zones: TimeZoneSettings { data: TimeZoneData::Newest, directory: None },
            log: LogSettings { filter: String::new(), format: LogFormat::Text },
            sources: BTreeMap::new(),
            source_limits: BTreeMap::new(),
            ignored_fields: BTreeMap::new(),
        };
        for setting in SETTINGS {
            if let DefaultValue::Text(default) = setting.default {
                let parsed = (setting.set)(&mut config, default);
                debug_assert_eq!(parsed, Ok(()), "default of {}", setting.name);
            }
        }
        config
    }
}

/// The database of a server.
#[derive(Clone, PartialEq, Eq)]
pub enum Database {
    /// A running Postgres. The URL may contain a password.
    Url(String),
    /// A Postgres that the server starts itself.
    Embedded {
        data_dir: PathBuf,
        /// The directory of `initdb` and `postgres`; searched if it is `None`.
        postgres_bin_dir: Option<PathBuf>,
    },
}

impl Database {
    /// Has no effect with a URL, like [`Database::set_bin_dir`].
    fn set_data_dir(&mut self, dir: PathBuf) {
        if let Self::Embedded { data_dir, .. } = self {
            *data_dir = dir;
        }
    }

    fn set_bin_dir(&mut self, dir: PathBuf) {
        if let Self::Embedded { postgres_bin_dir, .. } = self {
            *postgres_bin_dir = Some(dir);
        }
    }
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

/// The files of TLS. All of them are PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// The certificate and its intermediate certificates.
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    /// The authorities of clients' certificates. With it, clients must have one.
    pub client_ca: Option<PathBuf>,
}

impl TlsSettings {
    /// Certificate and key; `None` without TLS.
    pub fn pair(&self) -> Option<(&Path, &Path)> {
        self.certificate.as_deref().zip(self.key.as_deref())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// Directives such as `info` or `windrow_server=debug,sqlx=warn`.
    pub filter: String,
    pub format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    /// One JSON object per line.
    Json,
}

/// The rules of time zones that the server uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeZoneSettings {
    pub data: TimeZoneData,
    /// The system's directory, from the variable `TZDIR`; searched if it is `None`.
    pub directory: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeZoneData {
    /// The later edition of the two.
    Newest,
    System,
    /// Compiled into the program.
    Bundled,
}

/// An invalid setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{origin}: {reason}")]
pub struct ConfigError {
    /// A flag, a variable, or a file and its line.
    pub origin: String,
    /// Contains no passwords.
    pub reason: String,
}

impl ConfigError {
    fn new(origin: &(impl ToString + ?Sized), reason: impl Into<String>) -> Self {
        Self { origin: origin.to_string(), reason: reason.into() }
    }
}
