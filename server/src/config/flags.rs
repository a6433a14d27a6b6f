//! The settings as flags of `windrow-server`, built from the table.

use std::collections::BTreeMap;

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use super::{SETTINGS, Setting};

const CONFIG: &str = "config";

// No `Debug`: a database URL holds a password.
/// The settings that were given as flags.
#[derive(Clone, Default)]
pub struct Flags {
    /// The settings file.
    pub config: Option<String>,
    values: BTreeMap<&'static str, String>,
}

impl Flags {
    pub(crate) fn get(&self, setting: &Setting) -> Option<&str> {
        self.values.get(setting.name).map(String::as_str)
    }

    #[cfg(test)]
    pub(super) fn set(&mut self, name: &'static str, value: &str) {
        self.values.insert(name, value.to_owned());
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let value = |name| matches.get_one::<String>(name).cloned();
        let given = |setting: &Setting| Some((setting.name, value(setting.name)?));
        Ok(Self { config: value(CONFIG), values: SETTINGS.iter().filter_map(given).collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new(CONFIG)
            .long(CONFIG)
            .global(true)
            .value_name("FILE")
            .help_heading("Server")
            .help("Settings file [default: windrow.toml, if it exists] [env: WINDROW_CONFIG]")
            .long_help(
                "Settings file. A file that is named here must exist. Relative paths start at the \
                 current directory\n[default: windrow.toml, if it exists] [env: WINDROW_CONFIG]",
            );
        command.arg(config).args(SETTINGS.iter().map(Setting::argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}
