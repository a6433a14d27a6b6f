//! Parses the text of a setting, alike for flags, variables and `windrow.toml`.
//!
//! An error is a phrase that follows the setting's origin. It never contains a database URL, which
//! may have a password in it.

use std::{path::PathBuf, time::Duration};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use url::Url;

use super::{LogFormat, TimeZoneData, connect_options};
use crate::sources::is_secret;

/// A larger pool, or more runs, is a typing error.
const COUNT_MAX: u32 = 1_000;
/// A lease or a stop that takes more than a day never ends in practice.
const DURATION_MAX: Duration = Duration::from_hours(24);
/// Each takes some kilobytes.
const WATCHES_MAX: u32 = 1_000_000;
/// Clients must be able to resume after a restart.
const RETENTION_MIN: Duration = Duration::from_hours(1);
/// An outbox is not an archive.
const RETENTION_MAX: Duration = Duration::from_hours(366 * 24);
const AGE_MIN: Duration = Duration::from_mins(1);
const LEVELS: &str = "off, error, warn, info, debug or trace";

/// Printed instead of a secret.
pub(super) const HIDDEN: &str = "***";

pub(super) fn directory(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() || text.contains('\0') {
        return Err("expected a directory".to_owned());
    }
    Ok(PathBuf::from(text))
}

pub(super) fn file(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() || text.contains('\0') {
        return Err("expected a file".to_owned());
    }
    Ok(PathBuf::from(text))
}

pub(super) fn switch(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| format!("{text:?} is neither true nor false"))
}

/// At least as many as a server needs: one may wait for a lock while another renews leases.
pub(super) fn connections(text: &str) -> Result<u32, String> {
    match count(text)? {
        count @ 2.. => Ok(count),
        count => Err(format!("{count} is too few; at least 2 connections are needed")),
    }
}

pub(super) fn count(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(count @ 1..=COUNT_MAX) => Ok(count),
        Ok(_) | Err(_) => Err(format!("{text:?} is not a whole number from 1 to {COUNT_MAX}")),
    }
}

/// A duration that may be zero.
pub(super) fn grace(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration <= DURATION_MAX => Ok(duration),
        Ok(_) => Err(format!("{text:?} is longer than 24 hours")),
        Err(error) => Err(format!("{text:?} is not a duration such as 20s: {error}")),
    }
}

/// A duration that may not be zero.
pub(super) fn period(text: &str) -> Result<Duration, String> {
    let duration = grace(text)?;
    if duration.is_zero() { Err("must be greater than zero".to_owned()) } else { Ok(duration) }
}

/// At least a minute: connecting costs more than a call.
pub(super) fn age(text: &str) -> Result<Duration, String> {
    let duration = grace(text)?;
    if duration < AGE_MIN { Err(format!("{text:?} is shorter than 1m")) } else { Ok(duration) }
}

pub(super) fn watches(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(count @ 1..=WATCHES_MAX) => Ok(count),
        Ok(_) | Err(_) => Err(format!("{text:?} is not a whole number from 1 to {WATCHES_MAX}")),
    }
}

/// From an hour to a year.
pub(super) fn retention(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if (RETENTION_MIN..=RETENTION_MAX).contains(&duration) => Ok(duration),
        Ok(_) => Err(format!("{text:?} is not between 1h and 366d")),
        Err(error) => Err(format!("{text:?} is not a duration such as 7d: {error}")),
    }
}

/// A list of levels and of targets with levels, as tracing reads it. Here a word without `=` must be a level: tracing
/// takes `debgu` for a target of that name, and logs nothing else.
pub(super) fn log_filter(text: &str) -> Result<String, String> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let mut parts: Vec<&str> = parts.collect();
    if parts.is_empty() {
        return Err(format!("expected a log level: {LEVELS}"));
    }
    if let Some(part) = parts.iter().find(|part| !is_directive(part)) {
        return Err(format!(
            "{text:?} is not a log filter: {part:?} is neither a level ({LEVELS}) nor TARGET=LEVEL"
        ));
    }
    if !parts.iter().any(|part| is_level(part)) {
        // Otherwise everything outside of the targets is silent, also after a typing error in one of them.
        parts.insert(0, "info");
    }
    let filter = parts.join(",");
    match EnvFilter::try_new(&filter) {
        Ok(_) => Ok(filter),
        Err(error) => Err(format!("{text:?} is not a log filter such as info: {error}")),
    }
}

fn is_directive(part: &str) -> bool {
    is_level(part.rsplit_once('=').map_or(part, |(_target, level)| level))
}

fn is_level(text: &str) -> bool {
    !text.is_empty() && text.parse::<LevelFilter>().is_ok()
}

pub(super) fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        other => Err(format!("{other:?} is not a log format; use text or json")),
    }
}

pub(super) fn time_zone_data(text: &str) -> Result<TimeZoneData, String> {
    match text {
        "newest" => Ok(TimeZoneData::Newest),
        "system" => Ok(TimeZoneData::System),
        "bundled" => Ok(TimeZoneData::Bundled),
        other => Err(format!("{other:?} is not newest, system or bundled")),
    }
}

pub(super) fn database_url(text: &str) -> Result<String, String> {
    connect_options(text).map(|_options| text.to_owned())
}

/// The URL without its passwords; hidden entirely if they cannot be located with certainty.
pub(super) fn hide_passwords(text: &str) -> String {
    hidden(text).unwrap_or_else(|| HIDDEN.to_owned())
}

fn hidden(text: &str) -> Option<String> {
    let mut url = Url::parse(text).ok()?;
    // An unescaped `/`, `?` or `#` in a password ends the authority early, and the rest of the
    // password is then in what follows, before the `@`.
    let follows = [Some(url.path()), url.query(), url.fragment()];
    if url.fragment().is_some() || follows.into_iter().flatten().any(|part| part.contains('@')) {
        return None;
    }
    if url.password().is_some() {
        url.set_password(Some(HIDDEN)).ok()?;
    }
    if url.query_pairs().any(|(name, value)| is_hidden(&name, &value)) {
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().map(hide).collect();
        url.query_pairs_mut().clear().extend_pairs(pairs);
    }
    Some(url.into())
}

fn hide((name, value): (String, String)) -> (String, String) {
    if is_hidden(&name, &value) { (name, HIDDEN.to_owned()) } else { (name, value) }
}

fn is_hidden(name: &str, value: &str) -> bool {
    // A key may stand in the URL itself, but most often the value is the name of its file.
    let is_file = matches!(name, "sslkey" | "ssl-key") && !value.trim_start().starts_with("-----");
    is_secret(name) && !is_file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_hidden_wherever_they_are() {
        for (url, shown) in [
            ("postgres://host/db", "postgres://host/db"),
            (
                "postgres://me@host:5433/db?sslmode=require",
                "postgres://me@host:5433/db?sslmode=require",
            ),
            ("postgres://me:hush@host/db", "postgres://me:***@host/db"),
            ("postgres://me:hu%40sh@host/db", "postgres://me:***@host/db"),
            ("postgresql:///db?password=hush&user=me", "postgresql:///db?password=***&user=me"),
            ("postgres://me:hush@h/d?PassWord=hush", "postgres://me:***@h/d?PassWord=***"),
            ("postgres://h/d?sslpassword=hush", "postgres://h/d?sslpassword=***"),
            ("postgres://h/d?sslkey=/a.pem", "postgres://h/d?sslkey=/a.pem"),
            ("postgres://h/d?sslkey=-----BEGIN", "postgres://h/d?sslkey=***"),
            ("https://h/?api_key=hush&page=2", "https://h/?api_key=***&page=2"),
            ("postgres://me:12/hush@host/db", "***"),
            ("postgres://me:12#hush@host/db", "***"),
            ("postgres://me:12?hush@host/db", "***"),
            ("host=here password=hush", "***"),
        ] {
            assert_eq!(hide_passwords(url), shown, "{url}");
        }
    }

    #[test]
    fn a_mistyped_level_is_refused() {
        for text in
            ["debgu", "blah blah", "debug,foo", "foo", "windrow_server=debgu", "a=", "", ","]
        {
            let error = log_filter(text).unwrap_err();
            assert!(error.contains("off, error, warn, info, debug or trace"), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_filter_without_a_level_begins_with_info() {
        for (text, filter) in [
            ("warn", "warn"),
            ("DEBUG", "DEBUG"),
            ("off,windrow_server=info", "off,windrow_server=info"),
            ("info, sqlx=warn,", "info,sqlx=warn"),
            ("windrow_sever=debug", "info,windrow_sever=debug"),
        ] {
            assert_eq!(log_filter(text).as_deref(), Ok(filter));
        }
    }

    #[test]
    fn a_refused_database_url_is_not_repeated() {
        for url in ["mysql://me:hush@host/db", "postgres://me:hush@host:x/db", "password=hush"] {
            assert!(!database_url(url).unwrap_err().contains("hush"), "{url}");
        }
    }
}
