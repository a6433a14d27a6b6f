//! Which value of a setting is in force: flags, then the environment, then the file, then the default.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::file::{File, FileSource};
use super::{Config, ConfigError, Database, Key, parse};
use crate::cli::Flags;

/// Fills [`Config::tick_every`]. For tests, so the help does not name it, and releases do not read it.
pub(super) const TICK_VARIABLE: &str = "WINDROW_TEST_TICK_SECONDS";
/// A test that waits a day for a tick is stuck.
const TICK_MAX: Duration = Duration::from_hours(24);

/// What the environment says under a name.
pub type Environment<'a> = dyn Fn(&str) -> Option<OsString> + 'a;

// No `Debug`: the texts may hold a password.
/// The settings in force, and where each comes from.
pub struct Resolved {
    /// The settings in force.
    pub config: Config,
    pub(super) given: Given,
    /// The places of [`Config::sources`].
    pub(super) sources: BTreeMap<String, Place>,
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
        config.metrics_listen = given.parse(Key::MetricsListen, parse::address)?;
        given.fill(Key::MaxConnections, parse::count, &mut config.max_connections)?;
        given.fill(Key::MaxConcurrentRuns, parse::count, &mut config.max_concurrent_runs)?;
        given.fill(Key::StopGrace, parse::grace, &mut config.stop_grace)?;
        given.fill(Key::Lease, parse::period, &mut config.lease)?;
        given.fill(Key::Heartbeat, parse::period, &mut config.heartbeat)?;
        given.fill(Key::EventRetention, parse::retention, &mut config.event_retention)?;
        given.fill(Key::MaxWatches, parse::watches, &mut config.max_watches)?;
        let per_client = &mut config.max_watches_per_client;
        given.fill(Key::MaxWatchesPerClient, parse::watches, per_client)?;
        given.fill(Key::Log, parse::log_filter, &mut config.log.filter)?;
        given.fill(Key::LogFormat, parse::log_format, &mut config.log.format)?;
        check_heartbeat(&config, &given)?;
        config.tick_every = tick_every(environment)?;
        let mut sources = BTreeMap::new();
        for (name, FileSource { settings, limit, place }) in file.sources {
            config.sources.insert(name.clone(), settings);
            config.source_limits.extend(limit.map(|limit| (name.clone(), limit)));
            sources.insert(name, place);
        }
        Ok(Self { config, given, sources })
    }
}

/// Where a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
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
pub(super) struct Value {
    pub(super) text: String,
    pub(super) place: Place,
}

/// What is not left to its default, by key.
pub(super) struct Given(Vec<(Key, Value)>);

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

    pub(super) fn get(&self, key: Key) -> Option<&Value> {
        self.0.iter().find(|(of, _)| *of == key).map(|(_, value)| value)
    }

    pub(super) fn place(&self, key: Key) -> &Place {
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

pub(super) fn user_data_dir(environment: &Environment<'_>) -> Result<PathBuf, ConfigError> {
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
    if !cfg!(debug_assertions) {
        return Ok(None);
    }
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
pub(super) fn variable(
    environment: &Environment<'_>,
    name: &str,
) -> Result<Option<String>, ConfigError> {
    let Some(value) = environment(name).filter(|value| !value.is_empty()) else { return Ok(None) };
    value.into_string().map(Some).map_err(|_| ConfigError::new(name, "not valid UTF-8"))
}
