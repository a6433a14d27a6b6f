//! `windrow.toml`: finds it, reads it and checks all of it, even values that are overridden.
//!
//! Errors start with file and line. They do not repeat secrets.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize as _;
use toml::{
    Spanned,
    de::{DeTable, DeValue, ValueDeserializer},
};

use super::environment::variable;
use super::overrides::{Origin, Value};
use super::source_keys::SourceKeys;
use super::{Config, ConfigError, Database, Environment, Flags, Kind, SETTINGS, Setting};
use crate::sources::{Secrets, SourceKind, SourceRegistry, SourceSettings};

const DEFAULT_NAME: &str = "windrow.toml";
const VARIABLE: &str = "WINDROW_CONFIG";
const SOURCES: &str = "sources";
/// A key of every source: its adapter.
const KIND: &str = "kind";
/// A key of every source: fields that do not count as a change.
const IGNORED: &str = "ignore_fields";
/// A key of every source: maximum concurrent runs of the source.
const LIMIT: &str = "max_concurrent_runs";

#[derive(Default)]
pub(super) struct File {
    /// `None` if there is no file.
    pub(super) path: Option<PathBuf>,
    pub(super) values: BTreeMap<&'static str, Value>,
    pub(super) sources: BTreeMap<String, FileSource>,
}

/// A table `[sources.NAME]`.
pub(super) struct FileSource {
    pub(super) settings: SourceSettings,
    pub(super) limit: Option<u32>,
    pub(super) ignored: BTreeSet<String>,
    pub(super) origin: Origin,
}

impl File {
    /// Reads the named file, which must exist; else the default file, if it exists.
    pub(super) fn find(
        flags: &Flags,
        environment: &Environment<'_>,
        directory: &Path,
    ) -> Result<Self, ConfigError> {
        if let Some(name) = &flags.config {
            return Self::read(name, "--config", directory);
        }
        if let Some(name) = variable(environment, VARIABLE)? {
            return Self::read(&name, VARIABLE, directory);
        }
        let path = directory.join(DEFAULT_NAME);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Self { path: Some(path), ..Self::parse(DEFAULT_NAME, &text)? }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(ConfigError::new(DEFAULT_NAME, format!("failed to read: {error}"))),
        }
    }

    fn read(name: &str, origin: &str, directory: &Path) -> Result<Self, ConfigError> {
        let path = directory.join(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Self { path: Some(path), ..Self::parse(name, &text)? }),
            Err(error) => Err(ConfigError::new(origin, format!("failed to read {name}: {error}"))),
        }
    }

    pub(super) fn parse(name: &str, text: &str) -> Result<Self, ConfigError> {
        let lines = Lines { name, text };
        let table = DeTable::parse(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            // Not `error` itself: it repeats the line, which may contain a password.
            ConfigError::new(&lines.origin(start), error.message())
        })?;
        let mut file = Self::default();
        for (key, value) in table.into_inner() {
            let origin = lines.origin(key.span().start);
            if key.as_ref() == SOURCES {
                file.sources = sources(value, &origin, lines)?;
            } else {
                let (name, value) = setting(key.as_ref(), value.as_ref(), origin)?;
                file.values.insert(name, value);
            }
        }
        Ok(file)
    }
}

/// Converts an offset in the file to its line.
#[derive(Clone, Copy)]
struct Lines<'a> {
    name: &'a str,
    text: &'a str,
}

impl Lines<'_> {
    fn origin(self, offset: usize) -> Origin {
        let line = 1 + self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count();
        Origin::Line { file: self.name.to_owned(), line }
    }
}

fn setting(
    name: &str,
    value: &DeValue<'_>,
    origin: Origin,
) -> Result<(&'static str, Value), ConfigError> {
    let Some(setting) = SETTINGS.iter().find(|setting| setting.name == name) else {
        let reason = format!("unknown setting {name:?}; see windrow-server --help");
        return Err(ConfigError::new(&origin, reason));
    };
    match text(setting, value).and_then(|text| check(setting, &text).map(|()| text)) {
        Ok(text) => Ok((setting.name, Value { text, origin })),
        Err(reason) => Err(ConfigError::new(&origin, format!("{name}: {reason}"))),
    }
}

fn text(setting: &Setting, value: &DeValue<'_>) -> Result<String, String> {
    let (text, expected) = match setting.kind {
        Kind::Count => (value.as_integer().map(ToString::to_string), "a whole number"),
        Kind::Switch => (value.as_bool().map(|it| it.to_string()), "true or false, without quotes"),
        Kind::Address
        | Kind::Url
        | Kind::Directory
        | Kind::File
        | Kind::Duration
        | Kind::Filter
        | Kind::Choice
        | Kind::Format => (value.as_str().map(str::to_owned), "a string"),
    };
    text.ok_or_else(|| format!("expected {expected}"))
}

fn check(setting: &Setting, text: &str) -> Result<(), String> {
    let mut discarded = Config::new(Database::Url(String::new()));
    (setting.set)(&mut discarded, text)
}

fn sources(
    value: Spanned<DeValue<'_>>,
    origin: &Origin,
    lines: Lines<'_>,
) -> Result<BTreeMap<String, FileSource>, ConfigError> {
    let DeValue::Table(tables) = value.into_inner() else {
        return Err(ConfigError::new(origin, "sources must be tables such as [sources.NAME]"));
    };
    let mut sources = BTreeMap::new();
    for (name, mut value) in tables {
        let origin = lines.origin(name.span().start);
        let name = name.into_inner().into_owned();
        let limit = limit(&name, &mut value, lines)?;
        let ignored = ignored(&name, &mut value, lines)?;
        let settings = source(&name, value, &origin, lines)?;
        sources.insert(name, FileSource { settings, limit, ignored, origin });
    }
    Ok(sources)
}

/// Removes the limit from the table, because sources of every kind have it.
fn limit(
    name: &str,
    value: &mut Spanned<DeValue<'_>>,
    lines: Lines<'_>,
) -> Result<Option<u32>, ConfigError> {
    let DeValue::Table(table) = value.get_mut() else { return Ok(None) };
    let Some(limit) = table.remove(LIMIT) else { return Ok(None) };
    let number = limit.as_ref().as_integer().and_then(|text| text.as_str().parse().ok());
    if let Some(number) = number.filter(|number| *number > 0) {
        return Ok(Some(number));
    }
    let origin = lines.origin(limit.span().start);
    let reason = format!("source {name:?}: {LIMIT} must be a whole number of at least 1");
    Err(ConfigError::new(&origin, reason))
}

/// Removes the list of ignored fields from the table.
fn ignored(
    name: &str,
    value: &mut Spanned<DeValue<'_>>,
    lines: Lines<'_>,
) -> Result<BTreeSet<String>, ConfigError> {
    let DeValue::Table(table) = value.get_mut() else { return Ok(BTreeSet::new()) };
    let Some(ignored) = table.remove(IGNORED) else { return Ok(BTreeSet::new()) };
    let origin = lines.origin(ignored.span().start);
    BTreeSet::<String>::deserialize(ValueDeserializer::from(ignored)).map_err(|_| {
        ConfigError::new(&origin, format!("source {name:?}: {IGNORED} must be a list of strings"))
    })
}

/// Errors start with the line of the key at fault and name it.
fn source(
    name: &str,
    mut value: Spanned<DeValue<'_>>,
    origin: &Origin,
    lines: Lines<'_>,
) -> Result<SourceSettings, ConfigError> {
    let invalid = |offset: Option<usize>, reason: &str| {
        let origin = offset.map_or_else(|| origin.clone(), |offset| lines.origin(offset));
        // An invalid address is repeated with its password.
        let reason = Secrets::default().hide(reason).into_owned();
        ConfigError::new(&origin, format!("source {name:?}: {reason}"))
    };
    let keys = SourceKeys::of(value.as_ref());
    let DeValue::Table(table) = value.get_mut() else {
        return Err(invalid(None, &format!("must be a table such as [sources.{name}]")));
    };
    if let Some(environment) = table.get("environment")
        && !is_table_of_strings(environment.as_ref())
    {
        // Checked before serde, whose error would repeat a value that may be secret.
        let reason = "environment must be a table of strings";
        return Err(invalid(Some(environment.span().start), reason));
    }
    let kind = table.remove(KIND).ok_or_else(|| invalid(None, "missing field `kind`"))?;
    let settings = SourceKind::deserialize(ValueDeserializer::from(kind))
        .and_then(|kind| kind.read(ValueDeserializer::from(value)))
        .map_err(|error| {
            let start = error.span().map(|span| span.start);
            invalid(start, &keys.explained(start, error.message()))
        })?;
    SourceRegistry::from_settings(&BTreeMap::from([(name.to_owned(), settings.clone())]))
        .map_err(|error| invalid(keys.place_of(&error.reason), &error.reason))?;
    Ok(settings)
}

fn is_table_of_strings(value: &DeValue<'_>) -> bool {
    value.as_table().is_some_and(|table| table.values().all(|value| value.as_ref().is_str()))
}
