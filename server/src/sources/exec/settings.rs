//! Settings of an `exec` source.

use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error as _};

use crate::sources::secret_names::is_secret;
use crate::sources::settings::{TIMEOUT_MAX, default_timeout, duration, passwords};

/// Smallest `max_memory`: with less, hardly any program starts.
const MEMORY_MIN: u64 = 1024 * 1024;

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
    /// Names of further variables to inherit from the server.
    #[serde(default)]
    pub pass_environment: Vec<String>,
    /// The user that the program runs as. Default: the server's. Only root can choose another.
    #[serde(default)]
    pub user: Option<String>,
    /// Maximum memory of each process in bytes, for example `"2GiB"`. Default: no limit.
    #[serde(default, deserialize_with = "size")]
    pub max_memory: Option<u64>,
    /// Maximum processes and threads of `user` at the same time. Default: no limit.
    #[serde(default)]
    pub max_processes: Option<u32>,
}

impl Default for ExecSettings {
    fn default() -> Self {
        Self {
            command: Vec::new(),
            timeout: default_timeout(),
            working_dir: None,
            environment: BTreeMap::new(),
            pass_environment: Vec::new(),
            user: None,
            max_memory: None,
            max_processes: None,
        }
    }
}

// Settings may be logged, but the values of variables are often API keys.
impl fmt::Debug for ExecSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecSettings")
            .field("command", &self.shown_command("***"))
            .field("timeout", &self.timeout)
            .field("working_dir", &self.working_dir)
            .field("environment", &self.environment.keys().collect::<Vec<_>>())
            .field("pass_environment", &self.pass_environment)
            .field("user", &self.user)
            .field("max_memory", &self.max_memory)
            .field("max_processes", &self.max_processes)
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

    /// The secrets of [`Self::written_secrets`], and those among the variables that are passed on.
    pub(super) fn secrets(&self) -> Vec<String> {
        let passed = self.pass_environment.iter();
        let passed: Vec<(&String, String)> =
            passed.filter_map(|name| Some((name, env::var(name).ok()?))).collect();
        let named = passed.iter().filter(|(name, _)| is_secret(name));
        let named = named.map(|(_, value)| value.clone());
        let in_urls = passed.iter().flat_map(|(_, value)| passwords(value));
        self.written_secrets().into_iter().chain(named).chain(in_urls).collect()
    }

    /// The values of variables and arguments whose names tell that they are secret, and passwords in URLs.
    pub(in crate::sources) fn written_secrets(&self) -> Vec<String> {
        let variables = self.environment.iter();
        let mut secrets: Vec<String> = variables
            .filter(|(name, value)| is_secret(name) && !value.is_empty())
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

    pub(in crate::sources) fn validate(&self) -> Result<(), String> {
        if self.command.first().is_none_or(String::is_empty) {
            return Err("command must name a program".to_owned());
        }
        if self.command.iter().any(|argument| argument.contains('\0')) {
            return Err("command must not contain U+0000".to_owned());
        }
        if self.timeout.is_zero() || self.timeout > TIMEOUT_MAX {
            return Err("timeout must be more than zero and at most 24 hours".to_owned());
        }
        if let Some((name, _)) =
            self.environment.iter().find(|(name, value)| !is_variable(name, value))
        {
            return Err(format!("environment variable {name:?} is malformed"));
        }
        if let Some(name) = self.pass_environment.iter().find(|name| !is_variable(name, "")) {
            return Err(format!("pass_environment: {name:?} is not the name of a variable"));
        }
        self.validate_limits()
    }

    fn validate_limits(&self) -> Result<(), String> {
        if self.max_memory.is_some_and(|bytes| bytes < MEMORY_MIN) {
            return Err("max_memory must be at least 1MiB".to_owned());
        }
        match (self.max_processes, &self.user) {
            (Some(0), _) => Err("max_processes must be at least 1".to_owned()),
            (Some(_), None) => {
                Err("max_processes needs the key user, because the system counts the \
                                    processes of a user"
                    .to_owned())
            }
            (Some(_) | None, _) => Ok(()),
        }
    }
}

fn is_variable(name: &str, value: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0')
}

fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let bytes = bytes(&text);
    bytes
        .map(Some)
        .ok_or_else(|| D::Error::custom(format!("{text:?} is not a size such as 512MiB or 2GiB")))
}

fn bytes(text: &str) -> Option<u64> {
    let units = [("KiB", 1024), ("MiB", 1024 * 1024), ("GiB", 1024 * 1024 * 1024)];
    let (number, unit) =
        units.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)))?;
    number.trim_end().parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_a_unit() {
        for (text, expected) in [
            ("1KiB", Some(1024)),
            ("512 MiB", Some(512 * 1024 * 1024)),
            ("2GiB", Some(2 * 1024 * 1024 * 1024)),
            ("2", None),
            ("2GB", None),
            ("-1GiB", None),
            ("1.5GiB", None),
            ("99999999999GiB", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }
}
