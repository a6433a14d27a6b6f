//! Finds matches of an expression on a plain wall clock that knows no time zone.
//!
//! The only place that knows the `cron` crate. Its daylight-saving behaviour is wrong, and it is
//! sound on a clock without any, so it only ever sees wall-clock times dressed up as UTC. Its
//! dialect differs from Unix cron: a field for seconds comes first, Sunday is 1, and the two day
//! fields must both match, so alternatives become two schedules of which the earlier match counts.

use std::collections::BTreeSet;

use chrono::NaiveDateTime;
use cron::Schedule as CrateSchedule;

use super::ScheduleError;
use super::parser::{Expression, Field};

/// The wall-clock minutes an expression names, until the end of the year 2100.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    /// One, or two when the day fields are alternatives.
    alternatives: Vec<CrateSchedule>,
}

impl Pattern {
    pub(super) fn new(expression: &Expression) -> Result<Self, ScheduleError> {
        let days = list(&expression.day_of_month, 31, 0);
        let weekdays = list(&expression.day_of_week, 7, 1);
        let day_pairs = if expression.days_are_alternatives() {
            vec![(days.as_str(), "*"), ("*", weekdays.as_str())]
        } else {
            vec![(days.as_str(), weekdays.as_str())]
        };
        let alternatives =
            day_pairs.into_iter().map(|pair| translate(expression, pair)).collect::<Result<_, _>>();
        Ok(Self { alternatives: alternatives? })
    }

    /// The first match strictly after `wall`.
    pub(super) fn next_after(&self, wall: NaiveDateTime) -> Option<NaiveDateTime> {
        let wall = wall.and_utc();
        self.alternatives
            .iter()
            .filter_map(|schedule| schedule.after(&wall).next())
            .min()
            .map(|tick| tick.naive_utc())
    }
}

fn translate(
    expression: &Expression,
    (days, weekdays): (&str, &str),
) -> Result<CrateSchedule, ScheduleError> {
    let minutes = list(&expression.minute, 60, 0);
    let hours = list(&expression.hour, 24, 0);
    let months = list(&expression.month, 12, 0);
    let translated = format!("0 {minutes} {hours} {days} {months} {weekdays}");
    translated.parse().map_err(|_| ScheduleError::Untranslatable { translated })
}

/// The field as a list of plain numbers, or `*` when it has all `size` of them.
fn list(field: &Field, size: usize, shift: u32) -> String {
    if field.values.len() == size {
        return "*".to_owned();
    }
    let shifted: BTreeSet<String> =
        field.values.iter().map(|value| value.saturating_add(shift).to_string()).collect();
    shifted.into_iter().collect::<Vec<_>>().join(",")
}
