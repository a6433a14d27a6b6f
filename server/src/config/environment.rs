//! The environment of the process: variables, and the data directory that follows from them.

use std::ffi::OsString;
use std::path::PathBuf;

use super::ConfigError;

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
