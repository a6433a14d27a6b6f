//! The environment of the process: variables, and the data directory that follows from them.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::ConfigError;

/// Fills `Config::tick_every`. For tests: the help does not mention it, and releases ignore it.
pub(super) const TICK_VARIABLE: &str = "WINDROW_TEST_TICK_SECONDS";
/// A test that waits a day for a tick is stuck.
const TICK_MAX: Duration = Duration::from_hours(24);

/// Reads a variable.
pub type Environment<'a> = dyn Fn(&str) -> Option<OsString> + 'a;

/// A variable's value; an empty one counts as not set.
pub(super) fn variable(
    environment: &Environment<'_>,
    name: &str,
) -> Result<Option<String>, ConfigError> {
    let Some(value) = environment(name).filter(|value| !value.is_empty()) else { return Ok(None) };
    value.into_string().map(Some).map_err(|_| ConfigError::new(name, "not valid UTF-8"))
}

pub(super) fn default_data_dir(environment: &Environment<'_>) -> Result<PathBuf, ConfigError> {
    if rustix::process::geteuid().is_root() {
        return Ok(PathBuf::from("/var/lib/windrow"));
    }
    user_data_dir(environment)
}

pub(super) fn user_data_dir(environment: &Environment<'_>) -> Result<PathBuf, ConfigError> {
    if let Some(data) = variable(environment, "XDG_DATA_HOME")?.map(PathBuf::from)
        // The XDG base directory specification says to ignore relative paths.
        && data.is_absolute()
    {
        return Ok(data.join("windrow"));
    }
    match variable(environment, "HOME")? {
        Some(home) => Ok(PathBuf::from(home).join(".local/share/windrow")),
        None => Err(ConfigError::new(
            "--data-dir",
            "required, because neither HOME nor XDG_DATA_HOME is set; \
             or use a running Postgres with --database-url",
        )),
    }
}

pub(super) fn tick_every(environment: &Environment<'_>) -> Result<Option<Duration>, ConfigError> {
    if !cfg!(debug_assertions) {
        return Ok(None);
    }
    let Some(text) = variable(environment, TICK_VARIABLE)? else { return Ok(None) };
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    match seconds {
        Some(every) if !every.is_zero() && every <= TICK_MAX => Ok(Some(every)),
        Some(_) | None => Err(ConfigError::new(
            TICK_VARIABLE,
            format!("{text:?} is not a number of seconds greater than zero and up to a day"),
        )),
    }
}
