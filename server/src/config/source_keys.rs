//! The keys of a source in `windrow.toml` with their places, to find the one at fault.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

/// Keys with the keys of their tables, such as `oauth2` and `oauth2.token_url`.
pub(super) struct SourceKeys(Vec<Key>);

struct Key {
    path: String,
    start: usize,
    value: Range<usize>,
}

impl SourceKeys {
    pub(super) fn of(source: &DeValue<'_>) -> Self {
        let mut keys = Vec::new();
        if let Some(table) = source.as_table() {
            collect(table, "", &mut keys);
        }
        Self(keys)
    }

    /// An error of serde at a place, without the value, which may be secret, and with the key if the value is wrong.
    pub(super) fn explained(&self, place: Option<usize>, message: &str) -> String {
        let message = without_value(message);
        // Tables within one another contain the same place.
        let around = |key: &&Key| place.is_some_and(|place| key.value.contains(&place));
        match self.0.iter().rev().find(around) {
            Some(key) => format!("{}: {message}", key.path),
            None => message,
        }
    }

    /// The place of the key with which a reason begins.
    pub(super) fn place_of(&self, reason: &str) -> Option<usize> {
        let begins = |key: &&Key| {
            let rest = reason.strip_prefix(key.path.as_str());
            rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        };
        self.0.iter().filter(begins).max_by_key(|key| key.path.len()).map(|key| key.start)
    }
}

/// The keys of a table before those in its values.
fn collect(table: &DeTable<'_>, parent: &str, keys: &mut Vec<Key>) {
    for (name, value) in table {
        let path = format!("{parent}{}", name.get_ref());
        keys.push(Key { path: path.clone(), start: name.span().start, value: value.span() });
        if let Some(inner) = value.get_ref().as_table() {
            collect(inner, &format!("{path}."), keys);
        }
    }
}

fn without_value(message: &str) -> String {
    let parts = message.strip_prefix("invalid type: ").and_then(|m| m.rsplit_once(", expected "));
    let Some((found, expected)) = parts else { return message.to_owned() };
    let found = found.split(['`', '"']).next().unwrap_or_default().trim_end();
    format!("invalid type: {found}, expected {expected}")
}
