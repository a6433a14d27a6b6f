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

use std::fmt;
use std::path::PathBuf;

pub use self::address::ListenAddress;
pub use self::database_url::connect_options;
pub use self::environment::Environment;
pub use self::flags::Flags;
pub use self::resolve::Resolved;
pub use self::setting::{DefaultValue, Group, Kind, Setting};
pub use self::settings::{Config, SETTINGS};

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
