//! The values that replace defaults: from flags, then the environment, then the file.

use std::collections::BTreeMap;
use std::fmt;

use super::environment::variable;
use super::{Config, ConfigError, Environment, Flags, SETTINGS, Setting};

/// The texts of the settings that are not left to their defaults, by name.
pub(super) struct Overrides(BTreeMap<&'static str, Value>);

pub(super) struct Value {
    pub(super) text: String,
    pub(super) origin: Origin,
}

/// The place of a setting's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Default,
    Flag(&'static str),
    Variable(&'static str),
    Line { file: String, line: usize },
}

impl Overrides {
    pub(super) fn merge(
        flags: &Flags,
        environment: &Environment<'_>,
        mut file: BTreeMap<&'static str, Value>,
    ) -> Result<Self, ConfigError> {
        let mut values = BTreeMap::new();
        for setting in SETTINGS {
            let in_file = file.remove(setting.name);
            let value = match flags.get(setting) {
                Some(text) => {
                    Some(Value { text: text.to_owned(), origin: Origin::Flag(setting.flag) })
                }
                None => from_environment(setting, environment)?.or(in_file),
            };
            values.extend(value.map(|value| (setting.name, value)));
        }
        Ok(Self(values))
    }

    pub(super) fn apply(&self, config: &mut Config) -> Result<(), ConfigError> {
        for setting in SETTINGS {
            if let Some(value) = self.get(setting.name) {
                (setting.set)(config, &value.text)
                    .map_err(|reason| ConfigError::new(&value.origin, reason))?;
            }
        }
        Ok(())
    }

    pub(super) fn insert_default(&mut self, name: &'static str, text: String) {
        self.0.insert(name, Value { text, origin: Origin::Default });
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    pub(super) fn origin(&self, name: &str) -> &Origin {
        self.get(name).map_or(&Origin::Default, |value| &value.origin)
    }
}

fn from_environment(
    setting: &Setting,
    environment: &Environment<'_>,
) -> Result<Option<Value>, ConfigError> {
    let Some(name) = setting.variable else { return Ok(None) };
    let text = variable(environment, name)?;
    Ok(text.map(|text| Value { text, origin: Origin::Variable(name) }))
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Flag(flag) => write!(f, "--{flag}"),
            Self::Variable(name) => f.write_str(name),
            Self::Line { file, line } => write!(f, "{file}:{line}"),
        }
    }
}
