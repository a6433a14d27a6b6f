//! Reads five-field Unix cron as Python's croniter (7.0.0) reads it, one field at a time.
//!
//! The expressions in use were written for croniter, so its habits are kept even where they
//! surprise: an equal range (`5-5`) is the whole field, `10/5` is `10-59/5`, a range may wrap
//! (`22-2`, `fri-mon`), and a wrapped range with a step takes croniter's phase after the wrap.
//! Where Windrow differs:
//!
//! | expression | croniter | Windrow | why |
//! | --- | --- | --- | --- |
//! | `0 0 */2 * 1` | the 1st, 3rd… OR Mondays | AND | Unix cron: a day field that starts with `*` is not restricted |
//! | six or seven fields | seconds, years | refused | a tick is a minute |
//! | `L`, `#`, `W` | last, nth, nearest weekday | refused | the matching library has no such days |
//! | `R`, `H` | random, hashed | refused | the same text must mean the same ticks |
//! | `0 0 30 2 *` | accepted, fails when asked | refused | a schedule that never fires is a mistake |
//! | `5-0` in day of month or month | `5-31`, `5-12` | refused | 0 is out of range there |
//! | ` @daily ` | refused | accepted | surrounding white space means nothing |
//! | over 1,000 bytes | accepted | refused | input has a limit |
//! | daylight saving | by distance to the last tick | by cron(8) | see `wall_clock` |

use std::collections::BTreeSet;

use super::ScheduleError;

/// Ample for a list of all sixty minutes beside full lists in the other fields.
const MAX_EXPRESSION_BYTES: usize = 1_000;

/// The five fields, each as the set of numbers that match.
#[derive(Clone, Debug)]
pub(super) struct Expression {
    pub(super) minute: Field,
    pub(super) hour: Field,
    pub(super) day_of_month: Field,
    pub(super) month: Field,
    /// 0 is Sunday, 6 is Saturday.
    pub(super) day_of_week: Field,
}

/// One field: what matches, and whether it was written with a star.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) values: BTreeSet<u32>,
    /// It starts with `*`, or lists a bare `*` (which is the whole field either way).
    pub(super) starred: bool,
}

/// What may stand in a field.
#[derive(Debug)]
struct Part {
    name: &'static str,
    min: u32,
    max: u32,
    /// Names of the numbers from `min` on.
    names: &'static [&'static str],
}

const MINUTE: Part = Part { name: "minute", min: 0, max: 59, names: &[] };
const HOUR: Part = Part { name: "hour", min: 0, max: 23, names: &[] };
const DAY_OF_MONTH: Part = Part { name: "day of month", min: 1, max: 31, names: &[] };
const MONTH: Part = Part {
    name: "month",
    min: 1,
    max: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
const DAY_OF_WEEK: Part = Part {
    name: "day of week",
    min: 0,
    max: 6,
    names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
};

/// Reads an expression or one of croniter's nicknames.
pub(super) fn parse(cron_expression: &str) -> Result<Expression, ScheduleError> {
    if cron_expression.len() > MAX_EXPRESSION_BYTES {
        return Err(ScheduleError::TooLong { limit: MAX_EXPRESSION_BYTES });
    }
    let lower = cron_expression.trim().to_ascii_lowercase();
    let fields: Vec<&str> = spelled_out(&lower)?.split_ascii_whitespace().collect();
    let [minute, hour, day_of_month, month, day_of_week] = fields[..] else {
        return Err(ScheduleError::FieldCount { found: fields.len() });
    };
    let expression = Expression {
        minute: MINUTE.field(minute)?,
        hour: HOUR.field(hour)?,
        day_of_month: DAY_OF_MONTH.field(unquestioned(day_of_month))?,
        month: MONTH.field(month)?,
        day_of_week: DAY_OF_WEEK.field(unquestioned(day_of_week))?,
    };
    expression.can_fire()?;
    Ok(expression)
}

fn spelled_out(lower: &str) -> Result<&str, ScheduleError> {
    match lower {
        "" => Err(ScheduleError::Empty),
        "@hourly" => Ok("0 * * * *"),
        "@daily" | "@midnight" => Ok("0 0 * * *"),
        "@weekly" => Ok("0 0 * * 0"),
        "@monthly" => Ok("0 0 1 * *"),
        "@yearly" | "@annually" => Ok("0 0 1 1 *"),
        nickname if nickname.starts_with('@') => {
            Err(ScheduleError::UnknownNickname { text: nickname.to_owned() })
        }
        fields => Ok(fields),
    }
}

/// Quartz's `?` ("no matter which day") is a star in either day field, as in croniter.
fn unquestioned(field: &str) -> &str {
    if field == "?" { "*" } else { field }
}

impl Expression {
    /// Unix cron's rule: two restricted day fields are alternatives, else both must match.
    pub(super) fn days_are_alternatives(&self) -> bool {
        !self.day_of_month.starred && !self.day_of_week.starred
    }

    fn can_fire(&self) -> Result<(), ScheduleError> {
        let longest = self.month.values.iter().map(|month| longest_day(*month)).max();
        match self.day_of_month.values.first() {
            Some(day) if Some(*day) > longest && !self.days_are_alternatives() => {
                Err(ScheduleError::NeverFires { day: *day })
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// The last day the month can have; the 29th of February comes, if rarely.
fn longest_day(month: u32) -> u32 {
    match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl Part {
    fn field(&self, text: &str) -> Result<Field, ScheduleError> {
        let mut field = Field { values: BTreeSet::new(), starred: text.starts_with('*') };
        for item in text.split(',') {
            field.starred |= item == "*";
            field.values.extend(self.item(item)?);
        }
        Ok(field)
    }

    /// One list item: `*`, `a`, `a-b`, and each with a step.
    fn item(&self, item: &str) -> Result<Vec<u32>, ScheduleError> {
        let (span, step) = match item.split_once('/') {
            Some((span, step)) => (span, Some(self.step(step, item)?)),
            None => (item, None),
        };
        match (span.split_once('-'), step) {
            _ if span == "*" => Ok(stepped(self.min, self.max, step.unwrap_or(1))),
            (Some((low, high)), _) => {
                let (low, high) = (self.number(low, item)?, self.number(high, item)?);
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
        // A step beyond the field only ever reaches its start, however far beyond it is.
        match digits.parse().unwrap_or(u32::MAX) {
            0 => Err(ScheduleError::ZeroStep { part: self.name, text: item.to_owned() }),
            step => Ok(step),
        }
    }

    fn number(&self, word: &str, item: &str) -> Result<u32, ScheduleError> {
        if let Some((number, _)) = (self.min..).zip(self.names).find(|(_, name)| **name == word) {
            return Ok(number);
        }
        if !is_digits(word) {
            return Err(self.misread(word, item));
        }
        match word.parse() {
            // Unix cron's second Sunday.
            Ok(7) if self.max == 6 => Ok(0),
            Ok(number) if (self.min..=self.max).contains(&number) => Ok(number),
            Ok(_) | Err(_) => Err(self.out_of_range(word)),
        }
    }

    fn out_of_range(&self, word: &str) -> ScheduleError {
        let max = if self.max == 6 { 7 } else { self.max };
        ScheduleError::OutOfRange { part: self.name, value: word.to_owned(), min: self.min, max }
    }

    fn range(&self, low: u32, high: u32, step: u32) -> Vec<u32> {
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

    /// How much of the start of the field a wrapped range leaves out, by croniter's arithmetic: the
    /// step counts on from the last number before the wrap, one too far in some phases.
    fn skipped_after_wrap(&self, last: Option<&u32>, step: u32) -> u32 {
        let last = last.copied().unwrap_or(self.max);
        let passed = self.max.saturating_sub(last);
        let reaches_over = last.saturating_add(step) > self.max.saturating_add(1);
        if reaches_over && passed < step { step.saturating_sub(passed) } else { 0 }
    }

    /// The most helpful refusal of a word that is no number: naming the dialect it comes from.
    fn misread(&self, word: &str, item: &str) -> ScheduleError {
        let (part, text) = (self.name, item.to_owned());
        match foreign_feature(word) {
            Some(feature) => ScheduleError::Unsupported { part, text, feature },
            None => ScheduleError::Malformed { part, text },
        }
    }
}

fn foreign_feature(word: &str) -> Option<&'static str> {
    let plain = word.trim_matches(|c: char| c.is_ascii_digit());
    match plain {
        "l" => Some("L (last day)"),
        "w" | "lw" => Some("W (nearest weekday)"),
        "h" => Some("H (hashed)"),
        "r" => Some("R (random)"),
        "?" => Some("? (any) beyond a whole day field"),
        _ if plain.contains('#') => Some("# (nth weekday)"),
        _ if plain.starts_with("h(") => Some("H (hashed)"),
        _ if plain.starts_with("r(") => Some("R (random)"),
        _ => None,
    }
}

/// `low`, `low + step`, … up to `high`; nothing when `low` is above it.
fn stepped(low: u32, high: u32, step: u32) -> Vec<u32> {
    let step = usize::try_from(step).unwrap_or(usize::MAX);
    (low..=high).step_by(step.max(1)).collect()
}

/// Unlike `str::parse`, which takes `+5` as well.
fn is_digits(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
}
