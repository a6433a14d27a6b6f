//! Calendar days that an expression names, by month, day of month and day of week.
//!
//! The search goes day by day instead of using the `cron` crate, which has neither last nor nth days and
//! requires that both day fields match. Each day takes nanoseconds, and the longest search, for a day
//! that does not exist, covers 131 years.

use chrono::{Datelike, Months, NaiveDate};

use super::LAST_YEAR;
use super::field::Field;

/// The three fields that select days.
#[derive(Clone, Debug)]
pub(super) struct Days {
    pub(super) day_of_month: Field<OnDay>,
    pub(super) month: Field<u32>,
    pub(super) day_of_week: Field<OnWeekday>,
}

/// A day of the month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum OnDay {
    Number(u32),
    /// The last day of the month, the 28th to the 31st.
    Last,
}

/// A day of the week, from 0 (Sunday) to 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum OnWeekday {
    Every(u32),
    /// Day of the week, and its number within the month from 1 to 5.
    Nth(u32, u32),
    /// Last such day of the month.
    Last(u32),
}

impl Days {
    /// As in Unix cron, a day needs to match only one of two restricted day fields. Otherwise it must match
    /// both.
    pub(super) fn are_alternatives(&self) -> bool {
        !self.day_of_month.starred && !self.day_of_week.starred
    }

    pub(super) fn include(&self, date: NaiveDate) -> bool {
        let day = self.day_of_month.values.iter().any(|day| day.is(date));
        let weekday = self.day_of_week.values.iter().any(|weekday| weekday.is(date));
        let either_or_both = if self.are_alternatives() { day || weekday } else { day && weekday };
        self.has_month_of(date) && either_or_both
    }

    /// The first day since 1970.
    pub(super) fn first(&self) -> Option<NaiveDate> {
        self.first_from(NaiveDate::default())
    }

    /// The first day after `date`, up to the end of the last year.
    pub(super) fn next_after(&self, date: NaiveDate) -> Option<NaiveDate> {
        self.first_from(date.succ_opt()?)
    }

    fn first_from(&self, date: NaiveDate) -> Option<NaiveDate> {
        std::iter::successors(Some(date), |date| self.step(*date))
            .take_while(|date| date.year() <= LAST_YEAR)
            .find(|date| self.include(*date))
    }

    /// The next day to check. Skips months that do not match.
    fn step(&self, date: NaiveDate) -> Option<NaiveDate> {
        if self.has_month_of(date) {
            return date.succ_opt();
        }
        date.with_day(1)?.checked_add_months(Months::new(1))
    }

    fn has_month_of(&self, date: NaiveDate) -> bool {
        self.month.values.contains(&date.month())
    }
}

impl OnDay {
    fn is(self, date: NaiveDate) -> bool {
        match self {
            Self::Number(number) => date.day() == number,
            Self::Last => date.day() == days_in_month_of(date),
        }
    }
}

impl OnWeekday {
    /// True for a single day of the month, false for a day of every week.
    pub(super) fn is_one_of_the_month(&self) -> bool {
        match self {
            Self::Every(_) => false,
            Self::Nth(..) | Self::Last(_) => true,
        }
    }

    fn is(self, date: NaiveDate) -> bool {
        let weekday = date.weekday().num_days_from_sunday();
        match self {
            Self::Every(number) => weekday == number,
            Self::Nth(number, nth) => weekday == number && date.day().div_ceil(7) == nth,
            Self::Last(number) => weekday == number && date.day() + 7 > days_in_month_of(date),
        }
    }
}

fn days_in_month_of(date: NaiveDate) -> u32 {
    u32::from(date.num_days_in_month())
}
