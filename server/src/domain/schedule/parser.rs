//! Parser of five-field Unix cron in the dialect of Python's croniter (7.0.0).
//!
//! The expressions in use were written for croniter, so even its surprising rules are kept: an equal
//! range (`5-5`) is the whole field, `10/5` is `10-59/5`, a range may wrap (`22-2`, `fri-mon`), and a
//! wrapped range with a step continues in croniter's phase after the wrap. `l` is the last day of the
//! month (also as the end of a range), `l5` the last Friday, and `5#3`, `fri#3` or `mon-fri#3` the third.
//! Deviations from croniter:
//!
//! | expression | croniter | Windrow | why |
//! | --- | --- | --- | --- |
//! | `0 0 */2 * 1` | the 1st, 3rd… OR Mondays | AND | Unix cron: a day field that starts with `*` is not restricted |
//! | `0 0 6,*/20 * 0-6` | AND | OR: every day | the same: nor does it count as one if all is listed |
//! | `0 0 13 * 5#2` | second Fridays; the 13 has no effect | rejected | half of the expression would be ignored |
//! | `1,1#2`, `*,1#2` | `1#2` | rejected | the plain days would be ignored; croniter rejects other mixtures, too |
//! | `0 0 2-31,l * *` | every day: 31 list entries are taken for all | the 2nd to 31st | the 1st is not named |
//! | six or seven fields | seconds, years | rejected | cron fields have minutes; `@every` has seconds |
//! | `@every 90s` | rejected | multiples of 90 s since 1970-01-01T00:00:00Z, whatever the zone | periods that fields cannot express, as robfig/cron spells them |
//! | `15W` | nearest weekday | rejected | not needed so far |
//! | `R`, `H` | random, hashed | rejected | the same text must have the same ticks |
//! | `0 0 30 2 *` | accepted, fails later | rejected | a schedule that never fires is a mistake |
//! | `5-0`, `0-0` in day of month or month | `5-31`, the whole field | rejected | 0 is out of range there |
//! | ` @daily ` | rejected | accepted | surrounding white space has no meaning |
//! | over 1,000 bytes | accepted | rejected | input is limited |
//! | after the year 2100 | continues | no ticks | the matching library ends there |
//! | daylight saving | by distance to the last tick | by cron(8) | see `wall_clock` |

use super::ScheduleError;
use super::days::{Days, OnDay, OnWeekday};
use super::field::{DAY_OF_MONTH, DAY_OF_WEEK, Field, HOUR, MINUTE, MONTH, NTH, is_digits};
use super::period::Period;

/// Ample for a list of all sixty minutes beside full lists in the other fields.
const MAX_EXPRESSION_BYTES: usize = 1_000;

/// A parsed expression.
#[derive(Clone, Debug)]
pub(super) enum Expression {
    Cron(Fields),
    Every(Period),
}

/// The five fields of a cron expression.
#[derive(Clone, Debug)]
pub(super) struct Fields {
    pub(super) minute: Field<u32>,
    pub(super) hour: Field<u32>,
    pub(super) days: Days,
}

/// Parses five fields, one of croniter's nicknames, or `@every` with a period.
pub(super) fn parse(cron_expression: &str) -> Result<Expression, ScheduleError> {
    if cron_expression.len() > MAX_EXPRESSION_BYTES {
        return Err(ScheduleError::TooLong { limit: MAX_EXPRESSION_BYTES });
    }
    if let Some(zone) = zone_in(cron_expression) {
        return Err(ScheduleError::ZoneInExpression { zone: zone.chars().take(64).collect() });
    }
    let lower = cron_expression.trim().to_ascii_lowercase();
    if let Some(period) = period_of(&lower) {
        return Period::parse(period).map(Expression::Every);
    }
    let fields: Vec<&str> = spelled_out(&lower)?.split_ascii_whitespace().collect();
    let [minute, hour, day_of_month, month, day_of_week] = fields[..] else {
        return Err(ScheduleError::FieldCount { found: fields.len() });
    };
    Ok(Expression::Cron(Fields {
        minute: MINUTE.field(minute)?,
        hour: HOUR.field(hour)?,
        days: days(unquestioned(day_of_month), month, unquestioned(day_of_week))?,
    }))
}

/// The zone of a first word `CRON_TZ=Europe/Paris` or `TZ=Europe/Paris`, or of a sixth word `Europe/Paris`.
fn zone_in(cron_expression: &str) -> Option<&str> {
    let words: Vec<&str> = cron_expression.split_ascii_whitespace().collect();
    if let Some((variable, zone)) = words.first()?.split_once('=') {
        let is_zone = ["CRON_TZ", "TZ"].iter().any(|known| variable.eq_ignore_ascii_case(known));
        return is_zone.then_some(zone);
    }
    let is_zone = |word: &&&str| {
        word.contains('/')
            && word.split('/').all(|part| part.starts_with(|c: char| c.is_ascii_alphabetic()))
    };
    words.get(5).filter(is_zone).copied()
}

/// The text after `@every`.
fn period_of(lower: &str) -> Option<&str> {
    let rest = lower.strip_prefix("@every")?;
    (rest.is_empty() || rest.starts_with(char::is_whitespace)).then(|| rest.trim())
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

/// Quartz's `?` ("any day") is a star in either day field, as in croniter.
fn unquestioned(field: &str) -> &str {
    if field == "?" { "*" } else { field }
}

fn days(day_of_month: &str, month: &str, day_of_week: &str) -> Result<Days, ScheduleError> {
    let days = Days {
        day_of_month: Field::parse(day_of_month, on_day)?,
        month: MONTH.field(month)?,
        day_of_week: Field::parse(day_of_week, on_weekday)?,
    };
    if days.day_of_week.values.iter().any(OnWeekday::is_one_of_the_month) {
        if !days.day_of_week.values.iter().all(OnWeekday::is_one_of_the_month) {
            return Err(ScheduleError::MixedWeekdays { text: day_of_week.to_owned() });
        }
        if days.are_alternatives() {
            let (text, day_of_month) = (day_of_week.to_owned(), day_of_month.to_owned());
            return Err(ScheduleError::NotBoth { text, day_of_month });
        }
    }
    if days.first().is_none() {
        return Err(ScheduleError::NeverFires);
    }
    Ok(days)
}

/// A list item of the day of month: `l`, or a number, range or step.
fn on_day(item: &str) -> Result<Vec<OnDay>, ScheduleError> {
    if item == "l" {
        return Ok(vec![OnDay::Last]);
    }
    Ok(DAY_OF_MONTH.item(item)?.into_iter().map(OnDay::Number).collect())
}

/// A list item of the day of week: `l5`, `5#3`, `mon-fri#3`, or a number, name, range or step.
fn on_weekday(item: &str) -> Result<Vec<OnWeekday>, ScheduleError> {
    if let Some(digits) = item.strip_prefix('l').filter(|rest| is_digits(rest)) {
        return Ok(vec![OnWeekday::Last(DAY_OF_WEEK.number(digits, item)?)]);
    }
    if let Some((weekdays, nth)) = item.split_once('#') {
        let nth = NTH.number(nth, item)?;
        let weekdays = numbered(weekdays, item)?.into_iter();
        return Ok(weekdays.map(|weekday| OnWeekday::Nth(weekday, nth)).collect());
    }
    Ok(DAY_OF_WEEK.item(item)?.into_iter().map(OnWeekday::Every).collect())
}

/// The part before a `#`: one weekday, or a range, for which croniter requires names.
fn numbered(weekdays: &str, item: &str) -> Result<Vec<u32>, ScheduleError> {
    let Some((low, high)) = weekdays.split_once('-') else {
        return Ok(vec![DAY_OF_WEEK.number(weekdays, item)?]);
    };
    let (low, high) = (DAY_OF_WEEK.named(low, item)?, DAY_OF_WEEK.named(high, item)?);
    Ok(DAY_OF_WEEK.range(low, high, 1))
}
