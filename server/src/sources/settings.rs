//! Settings of sources in `windrow.toml`, checked when the server starts.

use std::path::Path;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Deserializer, de::Error as _};
use url::Url;

use super::{ExecSettings, ResoSettings, is_secret};

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
    /// Whether the settings themselves contain a secret, such as a token.
    pub fn contains_secret(&self) -> bool {
        match self {
            Self::Exec(settings) => !settings.written_secrets().is_empty(),
            Self::Reso(settings) => !settings.secrets().is_empty(),
            Self::Sample(_) | Self::Worker(WorkerSettings {}) => false,
        }
    }

    /// Files of their own for secrets.
    pub fn secret_files(&self) -> Vec<&Path> {
        match self {
            Self::Reso(settings) => settings.secret_files(),
            Self::Exec(_) | Self::Sample(_) | Self::Worker(WorkerSettings {}) => Vec::new(),
        }
    }

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

/// The password of a URL, and its parameters with the names of secrets, as they are written and as they are meant.
pub(super) fn passwords(text: &str) -> Vec<String> {
    let Ok(url) = Url::parse(text) else { return Vec::new() };
    let parameters = url.query().unwrap_or_default().split('&').filter_map(|p| p.split_once('='));
    let secret = parameters.filter(|(name, _)| is_secret(name)).map(|(_, value)| value);
    let written = url.password().into_iter().chain(secret);
    written.flat_map(|text| [text.to_owned(), decoded(text)]).collect()
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

pub(super) fn default_timeout() -> Duration {
    Duration::from_mins(10)
}

pub(super) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text)
        .map_err(|error| D::Error::custom(format!("{text:?} is not a duration: {error}")))
}
