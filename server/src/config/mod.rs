//! What a server is told, from flags, the environment and `windrow.toml`, in this order, then defaults.
//!
//! Everything is parsed and checked here, once, and every error begins with the place of the bad
//! setting. No other module reads the environment. Errors never hold a database URL.

mod file;
mod key;
mod parse;
mod render;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    fmt,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use crate::cli::Flags;
use crate::sources::SourceSettings;

use self::file::File;

pub use self::key::Key;

/// Fills [`Config::tick_every`]. For tests, so the help does not name it.
const TICK_VARIABLE: &str = "WINDROW_TEST_TICK_SECONDS";
/// A test that waits a day for a tick is stuck.
const TICK_MAX: Duration = Duration::from_hours(24);

/// What a server is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where gRPC clients and workers connect.
    pub listen: SocketAddr,
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
    /// How often a worker reports; less than half of the lease.
    pub heartbeat: Duration,
    /// What is logged, and how.
    pub log: LogSettings,
    /// The sources of the settings file by name. The built-in sample is not among them.
    pub sources: BTreeMap<String, SourceSettings>,
    /// For tests: every schedule is due every so often.
    pub tick_every: Option<Duration>,
}

impl Config {
    /// The defaults, which a test compares with [`Key::default_text`].
    pub fn new(database: Database) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 50051)),
            database,
            max_connections: 16,
            max_concurrent_runs: 4,
            stop_grace: Duration::from_secs(20),
            lease: Duration::from_secs(20),
            heartbeat: Duration::from_secs(5),
            log: LogSettings { filter: "info".to_owned(), format: LogFormat::Text },
            sources: BTreeMap::new(),
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
    /// For people.
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

/// What the environment says under a name.
pub type Environment<'a> = dyn Fn(&str) -> Option<OsString> + 'a;

// No `Debug`: the texts may hold a password.
/// The settings in force, and where each comes from.
pub struct Resolved {
    /// The settings in force.
    pub config: Config,
    given: Given,
    /// The places of [`Config::sources`].
    sources: BTreeMap<String, Place>,
}

impl Resolved {
    /// Reads this process's environment and the settings file.
    pub fn from_process(flags: &Flags) -> Result<Self, ConfigError> {
        Self::resolve(flags, &|name| env::var_os(name), Path::new(""))
    }

    /// Merges the flags, an environment and the settings file, which is relative to `directory`.
    pub fn resolve(
        flags: &Flags,
        environment: &Environment<'_>,
        directory: &Path,
    ) -> Result<Self, ConfigError> {
        let file = File::find(flags, environment, directory)?;
        let given = Given::merge(flags, environment, file.values)?;
        let mut config = Config::new(database(&given, environment)?);
        given.fill(Key::Listen, parse::address, &mut config.listen)?;
        given.fill(Key::MaxConnections, parse::count, &mut config.max_connections)?;
        given.fill(Key::MaxConcurrentRuns, parse::count, &mut config.max_concurrent_runs)?;
        given.fill(Key::StopGrace, parse::grace, &mut config.stop_grace)?;
        given.fill(Key::Lease, parse::period, &mut config.lease)?;
        given.fill(Key::Heartbeat, parse::period, &mut config.heartbeat)?;
        given.fill(Key::Log, parse::log_filter, &mut config.log.filter)?;
        given.fill(Key::LogFormat, parse::log_format, &mut config.log.format)?;
        check_heartbeat(&config, &given)?;
        config.tick_every = tick_every(environment)?;
        let mut sources = BTreeMap::new();
        for (name, (settings, place)) in file.sources {
            config.sources.insert(name.clone(), settings);
            sources.insert(name, place);
        }
        Ok(Self { config, given, sources })
    }
}

/// Where a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Default,
    Flag(Key),
    Variable(&'static str),
    Line { file: String, line: usize },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Flag(key) => f.write_str(&key.flag()),
            Self::Variable(name) => f.write_str(name),
            Self::Line { file, line } => write!(f, "{file}:{line}"),
        }
    }
}

/// The text of a setting that is not left to its default.
struct Value {
    text: String,
    place: Place,
}

/// What is not left to its default, by key.
struct Given(Vec<(Key, Value)>);

impl Given {
    fn merge(
        flags: &Flags,
        environment: &Environment<'_>,
        file: Vec<(Key, Value)>,
    ) -> Result<Self, ConfigError> {
        let mut values = Vec::new();
        for key in Key::ALL {
            if let Some(text) = key.of(flags) {
                values.push((key, Value { text: text.to_owned(), place: Place::Flag(key) }));
            } else if let Some(name) = key.variable()
                && let Some(text) = variable(environment, name)?
            {
                values.push((key, Value { text, place: Place::Variable(name) }));
            }
        }
        // Behind the others, so that `get` finds them last.
        values.extend(file);
        Ok(Self(values))
    }

    fn get(&self, key: Key) -> Option<&Value> {
        self.0.iter().find(|(of, _)| *of == key).map(|(_, value)| value)
    }

    fn place(&self, key: Key) -> &Place {
        self.get(key).map_or(&Place::Default, |value| &value.place)
    }

    fn parse<T>(&self, key: Key, parse: Parse<T>) -> Result<Option<T>, ConfigError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        parse(&value.text).map(Some).map_err(|reason| ConfigError::new(&value.place, reason))
    }

    fn fill<T>(&self, key: Key, parse: Parse<T>, field: &mut T) -> Result<(), ConfigError> {
        if let Some(value) = self.parse(key, parse)? {
            *field = value;
        }
        Ok(())
    }
}

type Parse<T> = fn(&str) -> Result<T, String>;

fn database(given: &Given, environment: &Environment<'_>) -> Result<Database, ConfigError> {
    let url = given.parse(Key::DatabaseUrl, parse::database_url)?;
    let data_dir = given.parse(Key::DataDir, parse::directory)?;
    let postgres_bin_dir = given.parse(Key::PostgresBinDir, parse::directory)?;
    if let Some(url) = url {
        return Ok(Database::Url(url));
    }
    let data_dir = data_dir.map_or_else(|| default_data_dir(environment), Ok)?;
    Ok(Database::Embedded { data_dir, postgres_bin_dir })
}

fn default_data_dir(environment: &Environment<'_>) -> Result<PathBuf, ConfigError> {
    if rustix::process::geteuid().is_root() {
        return Ok(PathBuf::from("/var/lib/windrow"));
    }
    user_data_dir(environment)
}

fn user_data_dir(environment: &Environment<'_>) -> Result<PathBuf, ConfigError> {
    if let Some(data) = variable(environment, "XDG_DATA_HOME")?.map(PathBuf::from)
        // The XDG base directory specification has relative paths ignored.
        && data.is_absolute()
    {
        return Ok(data.join("windrow"));
    }
    match variable(environment, "HOME")? {
        Some(home) => Ok(PathBuf::from(home).join(".local/share/windrow")),
        None => Err(ConfigError::new(
            "--data-dir",
            "needed, as neither HOME nor XDG_DATA_HOME says where data goes; \
             or name a Postgres with --database-url",
        )),
    }
}

fn check_heartbeat(config: &Config, given: &Given) -> Result<(), ConfigError> {
    if config.heartbeat.saturating_mul(2) < config.lease {
        return Ok(());
    }
    let [heartbeat, lease] = [Key::Heartbeat, Key::Lease].map(|key| given.place(key));
    let place = if *heartbeat == Place::Default { lease } else { heartbeat };
    Err(ConfigError::new(
        place,
        format!(
            "the heartbeat of {} ({heartbeat}) must be less than half of the lease of {} ({lease})",
            humantime::format_duration(config.heartbeat),
            humantime::format_duration(config.lease),
        ),
    ))
}

fn tick_every(environment: &Environment<'_>) -> Result<Option<Duration>, ConfigError> {
    let Some(text) = variable(environment, TICK_VARIABLE)? else { return Ok(None) };
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    match seconds {
        Some(every) if !every.is_zero() && every <= TICK_MAX => Ok(Some(every)),
        Some(_) | None => Err(ConfigError::new(
            TICK_VARIABLE,
            format!("{text:?} is not a number of seconds, more than zero and at most a day"),
        )),
    }
}

/// A variable's value; an empty one counts as not set.
fn variable(environment: &Environment<'_>, name: &str) -> Result<Option<String>, ConfigError> {
    let Some(value) = environment(name).filter(|value| !value.is_empty()) else { return Ok(None) };
    value.into_string().map(Some).map_err(|_| ConfigError::new(name, "not valid UTF-8"))
}
