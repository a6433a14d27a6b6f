//! A run's log: what its workers and sources said, within bounds.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// Most lines about one location in one attempt.
pub const LINES_OF_LOCATION: usize = 500;
/// Most lines of one attempt.
pub const LINES_OF_ATTEMPT: usize = 10_000;
/// Most characters of a line.
pub const LINE_LENGTH: usize = 2_000;

/// How serious a line is.
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
    /// For whoever works on a source.
    Debug,
    Info,
    /// Not as it should be.
    Warning,
    /// A location or the attempt failed.
    Error,
}

/// A line as a worker says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Counts a worker's lines of an attempt, so that one that is sent again is kept once; 0 for lines
    /// that are always kept.
    pub sequence: i64,
    /// The location that it is about; empty for the whole attempt.
    pub location: String,
    /// When it was said, by the worker's clock.
    pub logged_at: DateTime<Utc>,
    /// How serious it is.
    pub level: Level,
    pub text: String,
}

/// A line as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptLine {
    /// Counts the lines of a run.
    pub number: i64,
    pub attempt: i32,
    pub line: Line,
}

/// How many lines an attempt has, by location.
pub type Counts = BTreeMap<String, usize>;

/// The lines that are kept of `lines`, when there are `counts` already. The last line that is kept says
/// so.
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
            format!("an attempt keeps {LINES_OF_ATTEMPT} lines; what follows is not kept")
        } else if *count == LINES_OF_LOCATION {
            format!("a location keeps {LINES_OF_LOCATION} lines; what follows is not kept")
        } else {
            one_line(&line.text)
        };
        kept.push(Line { text, ..line });
    }
    kept
}

/// Without control characters, and not too long.
fn one_line(text: &str) -> String {
    let plain = text.trim_end().chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut line: String = plain.take(LINE_LENGTH + 1).collect();
    if let Some((end, _)) = line.char_indices().nth(LINE_LENGTH) {
        line.truncate(end);
        line.pop();
        line.push('…');
    }
    line
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
    fn the_last_line_of_a_location_says_that_more_is_lost() {
        let counts = Counts::from([("a".to_owned(), LINES_OF_LOCATION - 2)]);
        let lines = vec![line("a", "x"), line("a", "y"), line("a", "z"), line("b", "free")];
        let kept = within_bounds(lines, counts);
        let texts: Vec<&str> = kept.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, ["x", "a location keeps 500 lines; what follows is not kept", "free"]);
    }

    #[test]
    fn the_last_line_of_an_attempt_says_that_more_is_lost() {
        let counts = (0..).map(|n: i32| (n.to_string(), 400)).take(24).collect();
        let lines = (0..400).map(|_| line("x", "t")).chain([line("y", "too late")]).collect();
        let kept = within_bounds(lines, counts);
        assert_eq!(kept.len(), 400);
        assert!(kept[399].text.starts_with("an attempt keeps 10000 lines"));
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
