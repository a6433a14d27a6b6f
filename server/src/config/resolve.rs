//! Merges flags, environment, file and defaults, in this order of precedence.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};

use super::environment::{Environment, default_data_dir};
use super::file::{File, FileSource};
use super::overrides::{Origin, Overrides};
use super::{Config, ConfigError, Database, Flags, TimeZoneData, TimeZoneSettings};

/// The variable of the C library for the directory of time zones, so that all programs use the same rules.
const TZDIR: &str = "TZDIR";

// No `Debug`: the texts may hold a password.
/// The settings in effect and their origins.
pub struct Resolved {
    pub config: Config,
    pub(super) overrides: Overrides,
    /// The reason why the embedded database has no directory.
    no_data_dir: Option<ConfigError>,
    /// The origins of [`Config::sources`].
    pub(super) sources: BTreeMap<String, Origin>,
    /// The settings file, if there is one.
    pub(super) file: Option<PathBuf>,
}

impl TimeZoneSettings {
    /// The defaults, with this process's environment.
    pub fn from_process() -> Self {
        Self { data: TimeZoneData::Newest, directory: zoneinfo(&|name| env::var_os(name)) }
    }
}

impl Resolved {
    /// Reads this process's environment and the settings file.
    pub fn from_process(flags: &Flags) -> Result<Self, ConfigError> {
        Self::resolve(flags, &|name| env::var_os(name), Path::new(""))
    }

    /// Merges flags, an environment and the settings file, whose path is relative to `directory`.
    pub fn resolve(
        flags: &Flags,
        environment: &Environment<'_>,
        directory: &Path,
    ) -> Result<Self, ConfigError> {
        let file = File::find(flags, environment, directory)?;
        let mut overrides = Overrides::merge(flags, environment, file.values)?;
        let mut no_data_dir = None;
        if overrides.get("database_url").is_none() && overrides.get("data_dir").is_none() {
            match default_data_dir(environment) {
                Ok(dir) => {
                    overrides.insert_default("data_dir", dir.to_string_lossy().into_owned());
                }
                Err(error) => no_data_dir = Some(error),
            }
        }
        let embedded = Database::Embedded { data_dir: PathBuf::new(), postgres_bin_dir: None };
        let mut config = Config::new(embedded);
        overrides.apply(&mut config)?;
        check_heartbeat(&config, &overrides)?;
        check_tls(&config, &overrides)?;
        config.time_zones.directory = zoneinfo(environment);
        let mut sources = BTreeMap::new();
        for (name, FileSource { settings, limit, ignored, origin }) in file.sources {
            config.sources.insert(name.clone(), settings);
            config.source_limits.extend(limit.map(|limit| (name.clone(), limit)));
            if !ignored.is_empty() {
                config.ignored_fields.insert(name.clone(), ignored);
            }
            sources.insert(name, origin);
        }
        Ok(Self { config, overrides, no_data_dir, sources, file: file.path })
    }

    /// Fails without a database. Commands that need none work without the settings of one.
    pub fn require_database(&self) -> Result<(), ConfigError> {
        self.no_data_dir.clone().map_or(Ok(()), Err)
    }
}

fn zoneinfo(environment: &Environment<'_>) -> Option<PathBuf> {
    environment(TZDIR).filter(|directory| !directory.is_empty()).map(PathBuf::from)
}

fn check_heartbeat(config: &Config, overrides: &Overrides) -> Result<(), ConfigError> {
    if config.heartbeat.saturating_mul(2) < config.lease {
        return Ok(());
    }
    let (heartbeat, lease) = (overrides.origin("heartbeat"), overrides.origin("lease"));
    let origin = if *heartbeat == Origin::Default { lease } else { heartbeat };
    Err(ConfigError::new(
        origin,
        format!(
            "heartbeat {} ({heartbeat}) must be less than half of lease {} ({lease})",
            humantime::format_duration(config.heartbeat),
            humantime::format_duration(config.lease),
        ),
    ))
}

/// A certificate needs its key, and the other way round.
fn check_tls(config: &Config, overrides: &Overrides) -> Result<(), ConfigError> {
    let tls = &config.tls;
    let (given, missing) = match (&tls.certificate, &tls.key, &tls.client_ca) {
        (Some(_), None, _) => ("tls_certificate", "tls_key"),
        (None, Some(_), _) => ("tls_key", "tls_certificate"),
        (None, None, Some(_)) => ("tls_client_ca", "tls_certificate and tls_key"),
        (Some(_), Some(_), _) | (None, None, None) => return Ok(()),
    };
    let reason = format!("{given} has no effect without {missing}");
    Err(ConfigError::new(overrides.origin(given), reason))
}
