//! The log of a run: lines of its workers and sources, limited in number and length.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use super::id::RunId;
use super::text::shortened;

/// Maximum number of lines about one location in one attempt.
pub const LINES_OF_LOCATION: usize = 2_000;
/// Maximum number of lines of one attempt.
pub const LINES_OF_ATTEMPT: usize = 10_000;
/// Maximum length of a line, in characters.
pub const LINE_LENGTH: usize = 2_000;

/// Severity of a line.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Level {
    /// For developers of a source.
    Debug,
    Info,
    /// Something is wrong, but the attempt continues.
    Warning,
    /// A location or the attempt failed.
    Error,
}

/// A line as a worker sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Number of the line among the worker's lines of an attempt, so that a line sent twice is stored
    /// once; 0 for lines that are always stored.
    pub sequence: i64,
    /// The location it is about; empty for the whole attempt.
    pub location: String,
    /// Time of the line, by the worker's clock.
    pub logged_at: DateTime<Utc>,
    pub level: Level,
    pub text: String,
}

/// A stored line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptLine {
    /// Number of the line among all lines of the run.
    pub number: i64,
    pub attempt: i32,
    pub line: Line,
}

/// Selects log lines of a run.
#[derive(Clone, Debug)]
pub struct LogFilter {
    pub run: RunId,
    pub attempt: Option<i32>,
    pub location: Option<String>,
    /// Only lines of this level or higher.
    pub min_level: Level,
    /// Only lines with a higher number.
    pub after: i64,
    pub limit: i64,
}

/// Number of lines of an attempt, by location.
pub type Counts = BTreeMap<String, usize>;

/// The lines to store, given the `counts` of stored lines. The last line before a limit is replaced by a
/// notice.
pub fn within_bounds(lines: Vec<Line>, mut counts: Counts) -> Vec<Line> {
    let mut total: usize = counts.values().sum();
    let mut kept = Vec::new();
    for line in lines {
        let count = counts.entry(line.location.clone()).or_default();
        if *count >= LINES_OF_LOCATION || total >= LINES_OF_ATTEMPT {
            continue;
        }
        *count += 1;
        total += 1;
        let text = if total == LINES_OF_ATTEMPT {
            format!("limit of {LINES_OF_ATTEMPT} lines per attempt reached; dropping further lines")
        } else if *count == LINES_OF_LOCATION {
            format!(
                "limit of {LINES_OF_LOCATION} lines per location reached; dropping further lines"
            )
        } else {
            shortened(&line.text, LINE_LENGTH)
        };
        kept.push(Line { text, ..line });
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(location: &str, text: &str) -> Line {
        Line {
            sequence: 0,
            location: location.to_owned(),
            logged_at: DateTime::UNIX_EPOCH,
            level: Level::Info,
            text: text.to_owned(),
        }
    }

    #[test]
    fn the_last_line_of_a_location_says_that_more_are_dropped() {
        let counts = Counts::from([("a".to_owned(), LINES_OF_LOCATION - 2)]);
        let lines = vec![line("a", "x"), line("a", "y"), line("a", "z"), line("b", "free")];
        let kept = within_bounds(lines, counts);
        let texts: Vec<&str> = kept.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(
            texts,
            ["x", "limit of 2000 lines per location reached; dropping further lines", "free"]
        );
    }

    #[test]
    fn the_last_line_of_an_attempt_says_that_more_are_dropped() {
        let counts = (0..).map(|n: i32| (n.to_string(), 400)).take(24).collect();
        let lines = (0..400).map(|_| line("x", "t")).chain([line("y", "too late")]).collect();
        let kept = within_bounds(lines, counts);
        assert_eq!(kept.len(), 400);
        assert!(kept[399].text.starts_with("limit of 10000 lines per attempt"));
    }

    #[test]
    fn a_line_is_one_line_of_bounded_length() {
        let long = "ä".repeat(LINE_LENGTH + 1);
        let kept =
            within_bounds(vec![line("", "a\nb\u{1b}[0m\u{0}"), line("", &long)], Counts::new());
        assert_eq!(kept[0].text, "a b [0m ");
        assert_eq!(kept[1].text.chars().count(), LINE_LENGTH);
        assert!(kept[1].text.ends_with('…'));
    }
}
