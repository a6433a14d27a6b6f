//! Parser of one field of an expression: a list of numbers, names, ranges and steps.
//!
//! It keeps the surprising rules of croniter, which `parser` lists.

use std::collections::BTreeSet;

use super::ScheduleError;

/// The values of one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field<T> {
    pub(super) values: BTreeSet<T>,
    /// The field starts with `*` or lists a bare `*`. Either way, all of its values match.
    pub(super) starred: bool,
}

/// A field's name and valid values.
#[derive(Debug)]
pub(super) struct Part {
    name: &'static str,
    min: u32,
    max: u32,
    /// Names of the numbers from `min` on.
    names: &'static [&'static str],
}

pub(super) const MINUTE: Part = Part { name: "minute", min: 0, max: 59, names: &[] };
pub(super) const HOUR: Part = Part { name: "hour", min: 0, max: 23, names: &[] };
pub(super) const DAY_OF_MONTH: Part = Part { name: "day of month", min: 1, max: 31, names: &[] };
pub(super) const MONTH: Part = Part {
    name: "month",
    min: 1,
    max: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
pub(super) const DAY_OF_WEEK: Part = Part {
    name: "day of week",
    min: 0,
    max: 6,
    names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
};
/// The number after `#`.
pub(super) const NTH: Part = Part { name: "nth day of week", min: 1, max: 5, names: &[] };

impl<T: Ord> Field<T> {
    /// Parses a list, each item with `item_values`.
    pub(super) fn parse(
        text: &str,
        item_values: impl Fn(&str) -> Result<Vec<T>, ScheduleError>,
    ) -> Result<Self, ScheduleError> {
        let mut field = Self { values: BTreeSet::new(), starred: text.starts_with('*') };
        for item in text.split(',') {
            field.starred |= item == "*";
            field.values.extend(item_values(item)?);
        }
        Ok(field)
    }
}

impl Part {
    /// A list whose items mean numbers.
    pub(super) fn field(&self, text: &str) -> Result<Field<u32>, ScheduleError> {
        Field::parse(text, |item| self.item(item))
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// The unit in `@every`, if the field always has the same number of values.
    pub(super) fn unit(&self) -> Option<char> {
        match self.name {
            "minute" => Some('m'),
            "hour" => Some('h'),
            _ => None,
        }
    }

    /// Number of values.
    pub(super) fn size(&self) -> u32 {
        self.max.saturating_sub(self.min).saturating_add(1)
    }

    /// One list item: `*`, `a`, `a-b`, and each with a step.
    pub(super) fn item(&self, item: &str) -> Result<Vec<u32>, ScheduleError> {
        let (span, step) = match item.split_once('/') {
            Some((span, step)) => (span, Some(self.step(step, item)?)),
            None => (item, None),
        };
        match (span.split_once('-'), step) {
            _ if span == "*" => Ok(stepped(self.min, self.max, step.unwrap_or(1))),
            (Some((low, high)), _) => {
                let (low, high) = (self.number(low, item)?, self.upper_bound(high, item)?);
                Ok(self.range(low, high, step.unwrap_or(1)))
            }
            (None, Some(step)) => Ok(stepped(self.number(span, item)?, self.max, step)),
            (None, None) => Ok(vec![self.number(span, item)?]),
        }
    }

    fn step(&self, digits: &str, item: &str) -> Result<u32, ScheduleError> {
        if !is_digits(digits) {
            return Err(self.misread(digits, item));
        }
        // All steps beyond the field select only its start.
        match digits.parse().unwrap_or(u32::MAX) {
            0 => Err(ScheduleError::ZeroStep { part: self.name, text: item.to_owned() }),
            step => Ok(step),
        }
    }

    /// In the day of month, `10-l` means `10-31`.
    fn upper_bound(&self, word: &str, item: &str) -> Result<u32, ScheduleError> {
        if word == "l" && self.max == DAY_OF_MONTH.max {
            return Ok(self.max);
        }
        self.number(word, item)
    }

    /// A number or name of the field.
    pub(super) fn number(&self, word: &str, item: &str) -> Result<u32, ScheduleError> {
        if !is_digits(word) {
            return self.named(word, item);
        }
        match word.parse() {
            // Unix cron's second Sunday.
            Ok(7) if self.max == DAY_OF_WEEK.max => Ok(0),
            Ok(number) if (self.min..=self.max).contains(&number) => Ok(number),
            Ok(_) | Err(_) => Err(self.out_of_range(word)),
        }
    }

    /// A name of the field.
    pub(super) fn named(&self, word: &str, item: &str) -> Result<u32, ScheduleError> {
        (self.min..)
            .zip(self.names)
            .find(|(_, name)| **name == word)
            .map(|(number, _)| number)
            .ok_or_else(|| self.misread(word, item))
    }

    /// Numbers from `low` to `high`. If `high` is lower, the range wraps at the end of the field.
    pub(super) fn range(&self, low: u32, high: u32, step: u32) -> Vec<u32> {
        if low == high {
            return stepped(self.min, self.max, step);
        }
        if low < high {
            return stepped(low, high, step);
        }
        let mut values = stepped(low, self.max, step);
        let start = self.min.saturating_add(self.skipped_after_wrap(values.last(), step));
        values.extend(stepped(start, high, step));
        values
    }

    /// Count of numbers that a wrapped range skips at the start of the field. As in croniter, the step
    /// continues from the last number before the wrap, and is one too long in some phases.
    fn skipped_after_wrap(&self, last: Option<&u32>, step: u32) -> u32 {
        let last = last.copied().unwrap_or(self.max);
        let passed = self.max.saturating_sub(last);
        let reaches_over = last.saturating_add(step) > self.max.saturating_add(1);
        if reaches_over && passed < step { step.saturating_sub(passed) } else { 0 }
    }

    fn out_of_range(&self, word: &str) -> ScheduleError {
        let max = if self.max == DAY_OF_WEEK.max { 7 } else { self.max };
        ScheduleError::OutOfRange { part: self.name, value: word.to_owned(), min: self.min, max }
    }

    /// The error for a word that is not a number. It names the feature of another dialect, if it is one.
    fn misread(&self, word: &str, item: &str) -> ScheduleError {
        let (part, text) = (self.name, item.to_owned());
        match foreign_feature(word, item) {
            Some(feature) => ScheduleError::Unsupported { part, text, feature },
            None => ScheduleError::Malformed { part, text },
        }
    }
}

fn foreign_feature(word: &str, item: &str) -> Option<&'static str> {
    match word.trim_matches(|c: char| c.is_ascii_digit()) {
        _ if item.contains('#') => {
            Some("# other than in day of week as '5#3', 'fri#3' or 'mon-fri#3'")
        }
        "l" => Some("L other than in day of month as 'l' or '10-l' and in day of week as 'l5'"),
        "w" | "lw" | "wl" => Some("W (nearest weekday)"),
        "h" => Some("H (hashed)"),
        "r" => Some("R (random)"),
        "?" => Some("? (any) beyond a whole day field"),
        plain if plain.starts_with("h(") => Some("H (hashed)"),
        plain if plain.starts_with("r(") => Some("R (random)"),
        _ => None,
    }
}

/// `low`, `low + step`, … up to `high`; empty if `low` is above `high`.
fn stepped(low: u32, high: u32, step: u32) -> Vec<u32> {
    let step = usize::try_from(step).unwrap_or(usize::MAX);
    (low..=high).step_by(step.max(1)).collect()
}

/// Stricter than `str::parse`, which also accepts `+5`.
pub(super) fn is_digits(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
}
