//! Ranges of times and counts, narrowed by each comparison.

use chrono::{DateTime, TimeDelta, Utc};

use super::conditions::unsupported;
use super::syntax::{Comparison, Operator};
use crate::domain::time;

/// A half-open range of times; `None` means unbounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Period {
    pub from: Option<DateTime<Utc>>,
    pub until: Option<DateTime<Utc>>,
}

/// A range of counts, both bounds included, without the counts in `other_than`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CountRange {
    pub at_least: Option<i64>,
    pub at_most: Option<i64>,
    pub other_than: Vec<i64>,
}

impl Period {
    pub(super) fn contains(self, time: DateTime<Utc>) -> bool {
        self.from.is_none_or(|from| time >= from) && self.until.is_none_or(|until| time < until)
    }

    pub(super) fn add(&mut self, comparison: &Comparison) -> Result<(), String> {
        let Comparison { field, operator, value } = comparison;
        let invalid = |_| {
            format!("{field}: '{value}' is not an RFC 3339 time such as \"2026-01-31T08:00:00Z\"")
        };
        let time = DateTime::parse_from_rfc3339(value).map_err(invalid)?.with_timezone(&Utc);
        let time = time::stored(time)
            .ok_or_else(|| format!("{field}: '{value}' is outside of the years 1 to 9999"))?;
        // Postgres stores times in microseconds.
        let after = time + TimeDelta::microseconds(1);
        match operator {
            Operator::GreaterOrEqual => self.from = self.from.max(Some(time)),
            Operator::Greater => self.from = self.from.max(Some(after)),
            Operator::Less => self.until = Some(lower(self.until, time)),
            Operator::LessOrEqual => self.until = Some(lower(self.until, after)),
            Operator::Equal | Operator::NotEqual | Operator::Has | Operator::Lacks => {
                return Err(unsupported(field, *operator, "<, <=, > or >="));
            }
        }
        Ok(())
    }
}

impl CountRange {
    pub(super) fn contains(&self, count: i64) -> bool {
        self.at_least.is_none_or(|bound| count >= bound)
            && self.at_most.is_none_or(|bound| count <= bound)
            && !self.other_than.contains(&count)
    }

    pub(super) fn add(&mut self, comparison: &Comparison) -> Result<(), String> {
        let Comparison { field, operator, value } = comparison;
        let invalid = |_| format!("{field}: '{value}' is not a whole number");
        let count: i64 = value.parse::<u32>().map_err(invalid)?.into();
        match operator {
            Operator::Equal => {
                self.at_least = self.at_least.max(Some(count));
                self.at_most = Some(lower(self.at_most, count));
            }
            Operator::NotEqual => self.other_than.push(count),
            Operator::GreaterOrEqual => self.at_least = self.at_least.max(Some(count)),
            Operator::Greater => self.at_least = self.at_least.max(Some(count + 1)),
            Operator::LessOrEqual => self.at_most = Some(lower(self.at_most, count)),
            Operator::Less => self.at_most = Some(lower(self.at_most, count - 1)),
            Operator::Has | Operator::Lacks => {
                return Err(unsupported(field, *operator, "=, !=, <, <=, > or >="));
            }
        }
        Ok(())
    }
}

/// The lower of two upper bounds, of which the first may be absent.
fn lower<T: Ord>(bound: Option<T>, other: T) -> T {
    match bound {
        Some(bound) => bound.min(other),
        None => other,
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::filter::RunConditions;

    #[test]
    fn counts_are_compared_as_numbers() {
        let check = |filter: &str, expected: &[i64]| {
            let range = RunConditions::parse(filter).unwrap().failed_locations;
            let counts: Vec<i64> = (0..=10).filter(|count| range.contains(*count)).collect();
            assert_eq!(counts, expected, "{filter}");
        };
        check("failed_locations > 8", &[9, 10]);
        check("failed_locations >= 9 AND failed_locations != 9", &[10]);
        check("failed_locations = 3", &[3]);
        check("failed_locations = 3 AND failed_locations = 4", &[]);
        check("failed_locations < 2", &[0, 1]);
        check("failed_locations < 0", &[]);
        check("NOT failed_locations > 1 AND failed_locations <= 7", &[0, 1]);
        check("failed_locations = 10", &[10]);
    }
}
