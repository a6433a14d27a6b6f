//! What the configuration file says about sources, checked once when the server starts.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde::{Deserialize, Deserializer, de::Error as _};

use super::ResoSettings;

/// Names are stored with every run and property, so they have the limit of other names.
const NAME_MAX: usize = 200;
/// A day: a location that takes longer is stuck.
pub(super) const TIMEOUT_MAX: Duration = Duration::from_hours(24);
/// The most rows that a run may ask of one location.
const LISTINGS_MAX: u32 = 10_000;
/// The longest request delay that a run may ask for.
const PACE_MAX: Duration = Duration::from_mins(1);

/// One source's settings; `kind` says which adapter they are for.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum SourceSettings {
    /// Start a program for each location.
    Exec(ExecSettings),
    /// Read a RESO Web API.
    Reso(Box<ResoSettings>),
    Sample(SampleSettings),
    /// Leave it to workers: processes that lease runs over gRPC.
    Worker(WorkerSettings),
}

/// Nothing to set: the worker knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerSettings {}

impl SourceSettings {
    /// Says in one sentence what is wrong, if something is. Does not look at the file system.
    pub fn validate(&self) -> Result<(), String> {
        match self {
            Self::Exec(settings) => settings.validate(),
            Self::Reso(settings) => settings.validate(),
            Self::Sample(settings) => settings.validate(),
            Self::Worker(WorkerSettings {}) => Ok(()),
        }
    }
}

/// A program that is started once per location.
///
/// It reads one JSON object from stdin (`schema`, `job_id`, `attempt`, `scheduled_job_id`, `origin`,
/// `tick_at`, `reference_time`, `location`, `parameters`), writes one JSON object with a `property_id`
/// per line of at most 1 MiB to stdout, and exits with 0; with 78 when trying again is useless. It inherits `PATH`, `HOME`, `LANG`, `LC_*`,
/// `TZ` and `TMPDIR`, and gets `WINDROW_JOB_ID`, `WINDROW_ATTEMPT` and `WINDROW_LOCATION`.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecSettings {
    /// The program, sought in `PATH` unless it has a slash, and its arguments. No shell is involved.
    pub command: Vec<String>,
    /// The longest that one location may take, such as `"90s"`; ten minutes unless set.
    #[serde(default = "default_timeout", deserialize_with = "duration")]
    pub timeout: Duration,
    /// Where the program starts; the server's own directory unless set.
    #[serde(default)]
    pub working_dir: Option<PathBuf>,
    /// Variables to add to the few that the program inherits.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
}

// Values of the environment are often API keys, and settings are easily logged.
impl std::fmt::Debug for ExecSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExecSettings")
            .field("command", &self.command)
            .field("timeout", &self.timeout)
            .field("working_dir", &self.working_dir)
            .field("environment", &self.environment.keys().collect::<Vec<_>>())
            .finish()
    }
}

impl ExecSettings {
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
            Some((name, _)) => Err(format!("environment variable {name:?} is not well formed")),
            None => Ok(()),
        }
    }
}

/// Made-up listings at a steady pace, to try Windrow without a website.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SampleSettings {
    /// How many listings a location has, over all listing types; 20 unless set.
    pub listings_per_location: u32,
    /// The pause between two listings; 50 ms unless set.
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

/// A source's settings that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("source {name:?}: {reason}")]
pub struct InvalidSource {
    pub name: String,
    /// What is wrong with it.
    pub reason: String,
}

pub(super) fn validate_name(name: &str) -> Result<(), String> {
    if name.trim().is_empty() || name.contains('\0') || name.chars().count() > NAME_MAX {
        return Err(format!("a name has 1 to {NAME_MAX} characters"));
    }
    Ok(())
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
