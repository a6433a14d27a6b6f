//! `windrow.toml`: finds it, reads it and checks all of it, even what a flag or a variable overrides.
//!
//! Errors say the file and the line. They leave out the values of secrets.

use std::{collections::BTreeMap, fs, io, path::Path};

use serde::Deserialize as _;
use toml::{
    Spanned,
    de::{DeTable, DeValue, ValueDeserializer},
};

use crate::cli::Flags;
use crate::sources::{SourceRegistry, SourceSettings};

use super::resolve::{Place, Value, variable};
use super::{ConfigError, Environment, Key, parse};

/// The file's name unless another is given.
const NAME: &str = "windrow.toml";
const VARIABLE: &str = "WINDROW_CONFIG";
/// The key of the tables of sources.
const SOURCES: &str = "sources";
/// In such a table: how many runs of the source may be running at once.
const LIMIT: &str = "max_concurrent_runs";

/// What a settings file says.
#[derive(Default)]
pub(super) struct File {
    pub(super) values: Vec<(Key, Value)>,
    pub(super) sources: BTreeMap<String, FileSource>,
}

/// What a settings file says of a source.
pub(super) struct FileSource {
    pub(super) settings: SourceSettings,
    pub(super) limit: Option<u32>,
    pub(super) place: Place,
}

impl File {
    /// Reads the file that is named, which must exist, else the one in `directory`, if there is one.
    pub(super) fn find(
        flags: &Flags,
        environment: &Environment<'_>,
        directory: &Path,
    ) -> Result<Self, ConfigError> {
        if let Some(name) = &flags.config {
            return Self::named(name, "--config", directory);
        }
        if let Some(name) = variable(environment, VARIABLE)? {
            return Self::named(&name, VARIABLE, directory);
        }
        match fs::read_to_string(directory.join(NAME)) {
            Ok(text) => Self::parse(NAME, &text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(ConfigError::new(NAME, format!("cannot be read: {error}"))),
        }
    }

    fn named(name: &str, place: &str, directory: &Path) -> Result<Self, ConfigError> {
        match fs::read_to_string(directory.join(name)) {
            Ok(text) => Self::parse(name, &text),
            Err(error) => Err(ConfigError::new(place, format!("{name:?} cannot be read: {error}"))),
        }
    }

    pub(super) fn parse(name: &str, text: &str) -> Result<Self, ConfigError> {
        let lines = Lines { name, text };
        let table = DeTable::parse(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            // Not `error` itself, which repeats the line, and there may be a password in it.
            ConfigError::new(&lines.place(start), error.message())
        })?;
        let mut file = Self::default();
        for (key, value) in table.into_inner() {
            let place = lines.place(key.span().start);
            if key.as_ref() == SOURCES {
                file.sources = sources(value, &place, lines)?;
            } else {
                file.values.push(setting(key.as_ref(), value.as_ref(), place)?);
            }
        }
        Ok(file)
    }
}

/// From an offset in the file to its line.
#[derive(Clone, Copy)]
struct Lines<'a> {
    name: &'a str,
    text: &'a str,
}

impl Lines<'_> {
    fn place(self, offset: usize) -> Place {
        let line = 1 + self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count();
        Place::Line { file: self.name.to_owned(), line }
    }
}

fn setting(name: &str, value: &DeValue<'_>, place: Place) -> Result<(Key, Value), ConfigError> {
    let Some(key) = Key::from_name(name) else {
        return Err(ConfigError::new(&place, format!("there is no setting {name:?}")));
    };
    match text(key, value).and_then(|text| check(key, &text).map(|()| text)) {
        Ok(text) => Ok((key, Value { text, place })),
        Err(reason) => Err(ConfigError::new(&place, format!("{name}: {reason}"))),
    }
}

fn text(key: Key, value: &DeValue<'_>) -> Result<String, String> {
    if key.is_number() {
        value.as_integer().map(ToString::to_string).ok_or_else(|| "a whole number is needed".into())
    } else {
        value.as_str().map(str::to_owned).ok_or_else(|| "a string is needed".into())
    }
}

fn check(key: Key, text: &str) -> Result<(), String> {
    match key {
        Key::Listen | Key::MetricsListen => parse::address(text).map(drop),
        Key::DatabaseUrl => parse::database_url(text).map(drop),
        Key::DataDir | Key::PostgresBinDir => parse::directory(text).map(drop),
        Key::MaxConnections | Key::MaxConcurrentRuns => parse::count(text).map(drop),
        Key::StopGrace => parse::grace(text).map(drop),
        Key::Lease | Key::Heartbeat => parse::period(text).map(drop),
        Key::EventRetention => parse::retention(text).map(drop),
        Key::MaxWatches | Key::MaxWatchesPerClient => parse::watches(text).map(drop),
        Key::Log => parse::log_filter(text).map(drop),
        Key::LogFormat => parse::log_format(text).map(drop),
    }
}

fn sources(
    value: Spanned<DeValue<'_>>,
    place: &Place,
    lines: Lines<'_>,
) -> Result<BTreeMap<String, FileSource>, ConfigError> {
    let DeValue::Table(tables) = value.into_inner() else {
        return Err(ConfigError::new(place, "sources are tables such as [sources.NAME]"));
    };
    let mut sources = BTreeMap::new();
    for (name, mut value) in tables {
        let place = lines.place(name.span().start);
        let name = name.into_inner().into_owned();
        let limit = limit(&name, &mut value, lines)?;
        let settings = source(&name, value, &place, lines)?;
        sources.insert(name, FileSource { settings, limit, place });
    }
    Ok(sources)
}

/// Takes the limit out of the table, as every kind of source may have one.
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
    let place = lines.place(limit.span().start);
    let reason = format!("source {name:?}: {LIMIT} is a whole number, at least 1");
    Err(ConfigError::new(&place, reason))
}

fn source(
    name: &str,
    value: Spanned<DeValue<'_>>,
    place: &Place,
    lines: Lines<'_>,
) -> Result<SourceSettings, ConfigError> {
    let refuse =
        |place: Place, reason: &str| ConfigError::new(&place, format!("source {name:?}: {reason}"));
    if let Some(environment) = value.as_ref().get("environment")
        && !is_table_of_strings(environment.as_ref())
    {
        // Before serde looks, as its error would repeat a value that may be secret.
        let place = lines.place(environment.span().start);
        return Err(refuse(place, "environment is a table of strings"));
    }
    let settings =
        SourceSettings::deserialize(ValueDeserializer::from(value)).map_err(|error| {
            let place = error.span().map_or_else(|| place.clone(), |span| lines.place(span.start));
            refuse(place, error.message())
        })?;
    SourceRegistry::from_settings(&BTreeMap::from([(name.to_owned(), settings.clone())]))
        .map_err(|error| ConfigError::new(place, error.to_string()))?;
    Ok(settings)
}

fn is_table_of_strings(value: &DeValue<'_>) -> bool {
    value.as_table().is_some_and(|table| table.values().all(|value| value.as_ref().is_str()))
}
