//! Matches of an expression on a wall clock without a time zone.
//!
//! The only module that uses the `cron` crate. The crate computes the times of a day; `days` selects the
//! days. The crate's handling of daylight saving is wrong, so it only gets wall-clock times presented as
//! UTC, where there is none.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};
use cron::Schedule as CrateSchedule;

use super::ScheduleError;
use super::days::Days;
use super::field::Field;
use super::parser::Fields;

/// The wall-clock minutes that an expression names, up to the end of the last year.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    days: Days,
    times: CrateSchedule,
}

impl Pattern {
    pub(super) fn new(fields: &Fields) -> Result<Self, ScheduleError> {
        let minutes = list(&fields.minute, 60);
        let hours = list(&fields.hour, 24);
        let translated = format!("0 {minutes} {hours} * * *");
        let times = translated.parse().map_err(|_| ScheduleError::Untranslatable { translated })?;
        Ok(Self { days: fields.days.clone(), times })
    }

    /// The first match strictly after `wall`.
    pub(super) fn next_after(&self, wall: NaiveDateTime) -> Option<NaiveDateTime> {
        let date = wall.date();
        if self.days.include(date)
            && let Some(later_today) = self.time_on(date, wall)
        {
            return Some(later_today);
        }
        let date = self.days.next_after(date)?;
        self.time_on(date, date.and_time(NaiveTime::MIN) - TimeDelta::seconds(1))
    }

    fn time_on(&self, date: NaiveDate, after: NaiveDateTime) -> Option<NaiveDateTime> {
        let next = self.times.after(&after.and_utc()).next()?.naive_utc();
        (next.date() == date).then_some(next)
    }
}

/// The field as a list of plain numbers, or `*` when it has all `size` of them.
fn list(field: &Field<u32>, size: usize) -> String {
    if field.values.len() == size {
        return "*".to_owned();
    }
    field.values.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}
