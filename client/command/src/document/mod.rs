//! Scheduled jobs as documents: the YAML and JSON that `apply` reads and `jobs export` writes.
//!
//! The contract decides which fields there are. A value is read from its text, exactly as a flag reads it:
//! `46220`, `on` and `1e3` are text where text is meant. Every error has a place.

mod fields;
mod names;
mod reader;
mod scalar;
mod split;
mod syntax;
mod writer;
mod yaml;

use std::collections::BTreeMap;
use std::fmt;

use windrow_client::proto::ScheduledJob;

use crate::failure::Failure;

pub(crate) use fields::{Setting, settings};
pub(crate) use writer::{Settings, write};

/// Place in a text, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    line: usize,
    column: usize,
}

/// Error in a text.
#[derive(Debug, PartialEq)]
pub(crate) struct Fault {
    at: Position,
    reason: String,
}

/// A job and the places of its fields.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) job: ScheduledJob,
    at: Position,
    /// By path, as in errors of the server.
    places: BTreeMap<String, Position>,
}

/// The documents of a text that have no errors, and all errors of the others.
pub(crate) fn read(text: &str) -> Result<(Vec<Document>, Vec<Fault>), Failure> {
    let yaml::Text { documents, faults } = yaml::parse(text);
    let (mut read, mut all) = (Vec::new(), faults);
    for node in documents {
        // A list has one job per entry.
        let jobs = match node.content {
            yaml::Content::List { items, .. } => items,
            yaml::Content::Null => continue,
            yaml::Content::Text { .. } | yaml::Content::Map(_) => vec![node],
        };
        for job in &jobs {
            match reader::job(job)? {
                Ok(document) => read.push(document),
                Err(faults) => all.extend(faults),
            }
        }
    }
    all.sort_by_key(|fault| (fault.at.line, fault.at.column));
    Ok((read, all))
}

impl Document {
    /// Place of the field, or of what contains it.
    pub(crate) fn place(&self, path: &str) -> Position {
        let mut rest = path;
        loop {
            if let Some(place) = self.places.get(rest) {
                return *place;
            }
            match rest.rfind(['.', '[']).and_then(|end| rest.get(..end)) {
                Some(parent) => rest = parent,
                None => return self.at,
            }
        }
    }
}

impl Position {
    const START: Self = Self { line: 1, column: 1 };

    /// The place of a line and a column that are counted from here.
    fn plus(self, line: usize, column: usize) -> Self {
        let column = if line == 1 { self.column + column - 1 } else { column };
        Self { line: self.line + line - 1, column }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.reason)
    }
}

#[cfg(test)]
mod tests;
