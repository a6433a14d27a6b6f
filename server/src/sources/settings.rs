//! Settings of sources in `windrow.toml`, checked when the server starts.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Deserializer, de::Error as _};
use url::Url;

use super::{ResoSettings, secret_names::is_secret};

/// Longest name of a source, in characters.
const NAME_MAX: usize = 200;
/// Longest `timeout`: a location that takes more than a day is stuck.
pub(super) const TIMEOUT_MAX: Duration = Duration::from_hours(24);
/// Largest `listings_per_location`: the largest limit of a run.
const LISTINGS_MAX: u32 = 10_000;
/// Longest `pace`.
const PACE_MAX: Duration = Duration::from_mins(1);

/// The settings of one source; its [`SourceKind`] selects the adapter.
#[derive(Clone, Debug, PartialEq)]
pub enum SourceSettings {
    /// Runs a program for each location.
    Exec(ExecSettings),
    /// Reads a RESO Web API.
    Reso(Box<ResoSettings>),
    Sample(SampleSettings),
    /// Workers on other machines, which lease runs over gRPC.
    Worker(WorkerSettings),
}

/// The kinds of sources, as the key `kind` names them.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    Exec,
    Reso,
    Sample,
    Worker,
}

impl SourceKind {
    /// Reads the keys besides `kind`. An enum with a tag would do both, but its errors have no place in the file.
    pub fn read<'de, D: Deserializer<'de>>(self, keys: D) -> Result<SourceSettings, D::Error> {
        match self {
            Self::Exec => ExecSettings::deserialize(keys).map(SourceSettings::Exec),
            Self::Reso => Box::<ResoSettings>::deserialize(keys).map(SourceSettings::Reso),
            Self::Sample => SampleSettings::deserialize(keys).map(SourceSettings::Sample),
            Self::Worker => WorkerSettings::deserialize(keys).map(SourceSettings::Worker),
        }
    }
}

/// No settings: the worker has its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerSettings {}

impl SourceSettings {
    /// Checks the values. Does not look at the file system.
    pub fn validate(&self) -> Result<(), String> {
        match self {
            Self::Exec(settings) => settings.validate(),
            Self::Reso(settings) => settings.validate(),
            Self::Sample(settings) => settings.validate(),
            Self::Worker(WorkerSettings {}) => Ok(()),
        }
    }
}

/// A program that runs once per location. The module `sources::exec` documents its input, output and exit.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecSettings {
    /// The program and its arguments, without a shell. The program is found in `PATH` unless it contains a
    /// slash.
    pub command: Vec<String>,
    /// Maximum time for one location, for example `"90s"`. Default: ten minutes.
    #[serde(default = "default_timeout", deserialize_with = "duration")]
    pub timeout: Duration,
    /// The directory in which the program starts. Default: the server's.
    #[serde(default)]
    pub working_dir: Option<PathBuf>,
    /// Environment variables in addition to the inherited ones.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
}

// Settings may be logged, but the values of variables are often API keys.
impl std::fmt::Debug for ExecSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExecSettings")
            .field("command", &self.shown_command("***"))
            .field("timeout", &self.timeout)
            .field("working_dir", &self.working_dir)
            .field("environment", &self.environment.keys().collect::<Vec<_>>())
            .finish()
    }
}

impl ExecSettings {
    /// The command with its secret arguments replaced.
    pub fn shown_command(&self, hidden: &str) -> Vec<String> {
        let secrets = self.secret_arguments();
        let hide = |argument: &String| {
            let secret = secrets.iter().find(|secret| argument.ends_with(secret.as_str()));
            secret.map_or_else(|| argument.clone(), |secret| argument.replace(secret, hidden))
        };
        self.command.iter().map(hide).collect()
    }

    /// The values of variables and arguments whose names tell that they are secret, and passwords in URLs.
    pub(super) fn secrets(&self) -> Vec<String> {
        let variables = self.environment.iter();
        let mut secrets: Vec<String> = variables
            .filter(|(name, _)| is_secret(name))
            .map(|(_, value)| value.clone())
            .chain(self.secret_arguments())
            .collect();
        secrets.extend(
            self.environment.values().chain(&self.command).flat_map(|text| passwords(text)),
        );
        secrets
    }

    fn secret_arguments(&self) -> Vec<String> {
        let mut name = None;
        let mut secrets = Vec::new();
        for argument in self.command.iter().skip(1) {
            let is_named = name.is_some_and(is_secret);
            name = argument.starts_with('-').then_some(argument.as_str());
            match argument.split_once('=') {
                Some((name, value)) if is_secret(name) && !name.contains(' ') => {
                    secrets.push(value.to_owned());
                }
                None if is_named && name.is_none() => secrets.push(argument.clone()),
                Some(_) | None => {}
            }
        }
        secrets.retain(|secret| !secret.is_empty());
        secrets
    }

    fn validate(&self) -> Result<(), String> {
        if self.command.first().is_none_or(String::is_empty) {
            return Err("command must name a program".to_owned());
        }
        if self.command.iter().any(|argument| argument.contains('\0')) {
            return Err("command must not contain U+0000".to_owned());
        }
        if self.timeout.is_zero() || self.timeout > TIMEOUT_MAX {
            return Err("timeout must be more than zero and at most 24 hours".to_owned());
        }
        match self.environment.iter().find(|(name, value)| !is_variable(name, value)) {
            Some((name, _)) => Err(format!("environment variable {name:?} is malformed")),
            None => Ok(()),
        }
    }
}

/// Synthetic listings at a steady pace, to try Windrow without a website.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SampleSettings {
    /// Listings per location, over all listing types. Default: 20.
    pub listings_per_location: u32,
    /// Pause between two listings. Default: 50 ms.
    #[serde(deserialize_with = "duration")]
    pub pace: Duration,
}

impl Default for SampleSettings {
    fn default() -> Self {
        Self { listings_per_location: 20, pace: Duration::from_millis(50) }
    }
}

impl SampleSettings {
    fn validate(&self) -> Result<(), String> {
        if self.listings_per_location > LISTINGS_MAX {
            return Err(format!("listings_per_location must be at most {LISTINGS_MAX}"));
        }
        if self.pace > PACE_MAX {
            return Err("pace must be at most 60 seconds".to_owned());
        }
        Ok(())
    }
}

/// A source with invalid settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("source {name:?}: {reason}")]
pub struct InvalidSource {
    pub name: String,
    pub reason: String,
}

pub(super) fn validate_name(name: &str) -> Result<(), String> {
    if name.trim().is_empty() || name.contains('\0') || name.chars().count() > NAME_MAX {
        return Err(format!("the name must have 1 to {NAME_MAX} characters"));
    }
    Ok(())
}

/// The password of a URL, as it is written and as it is meant.
pub(super) fn passwords(text: &str) -> Vec<String> {
    let url = Url::parse(text).ok();
    let password = url.as_ref().and_then(Url::password);
    let decoded = password.map(|text| percent_decode_str(text).decode_utf8_lossy().into_owned());
    password.map(str::to_owned).into_iter().chain(decoded).collect()
}

fn is_variable(name: &str, value: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0')
}

pub(super) fn default_timeout() -> Duration {
    Duration::from_mins(10)
}

pub(super) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text)
        .map_err(|error| D::Error::custom(format!("{text:?} is not a duration: {error}")))
}
