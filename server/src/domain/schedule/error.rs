//! Errors in expressions and time zones, with the field at fault.

/// A cron expression or time zone that Windrow does not accept.
///
/// The text does not name the field; [`ScheduleError::field`] has it, as the API spells it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Only white space.
    #[error("an expression of 5 fields is required, such as '0 6 * * *'")]
    Empty,
    /// Longer than any sensible expression.
    #[error("expression is longer than {limit} bytes")]
    TooLong { limit: usize },
    /// Four fields, or six (seconds), or seven (years).
    #[error("expected 5 fields, found {found}{}", without_seconds(*found))]
    FieldCount { found: usize },
    /// `CRON_TZ=Europe/Paris 0 2 * * *` and `0 2 * * * Europe/Paris`, as other schedulers read them.
    #[error(
        "the time zone '{zone}' is not a part of the expression; it belongs in the field timezone \
         (--timezone {zone})"
    )]
    ZoneInExpression { zone: String },
    /// A word that starts with `@` and is not one of croniter's.
    #[error(
        "unknown nickname '{text}'; expected @every DURATION, @hourly, @daily, @midnight, @weekly, \
         @monthly, @yearly or @annually"
    )]
    UnknownNickname { text: String },
    /// `@every` without a duration, or with other units.
    #[error(
        "'@every {text}' needs a duration in whole seconds, such as 30s or 1h30m, without days: write 48h"
    )]
    MalformedPeriod { text: String },
    #[error("'@every {text}' is out of range 1s to 8784h (366 days)")]
    PeriodOutOfRange { text: String },
    /// A number outside of the field's range.
    #[error("{part} {value} is out of range {min}-{max}")]
    OutOfRange { part: &'static str, value: String, min: u32, max: u32 },
    /// `*/0` would never advance.
    #[error("{part} '{text}' has a step of zero")]
    ZeroStep { part: &'static str, text: String },
    /// Neither a number nor a name, range or step.
    #[error("{part} '{text}' is not a number, name, range or step")]
    Malformed { part: &'static str, text: String },
    /// Syntax of other cron dialects.
    #[error("{part} '{text}' uses {feature}, which is not supported")]
    Unsupported {
        part: &'static str,
        text: String,
        /// Its meaning in other dialects.
        feature: &'static str,
    },
    /// `1,1#2`: the plain days would have no effect.
    #[error(
        "day of week '{text}' mixes days of every week with days of the month (# or l), which is \
         not supported"
    )]
    MixedWeekdays { text: String },
    /// `0 0 13 * 5#2`: the day of the month would have no effect.
    #[error(
        "day of week '{text}' selects days of the month (# or l), so day of month must be '*' and \
         not '{day_of_month}'"
    )]
    NotBoth { text: String, day_of_month: String },
    /// For example the 30th of February.
    #[error("can never fire: there is no such day in such a month")]
    NeverFires,
    /// The matching library rejected our translation, which is a bug in Windrow.
    #[error("internal error: could not translate to '{translated}'")]
    Untranslatable { translated: String },
    /// Not a name of the IANA time zone database.
    #[error("unknown IANA time zone '{name}'")]
    UnknownTimezone { name: String },
}

impl ScheduleError {
    /// The request field at fault: `cron_expression` or `timezone`.
    pub fn field(&self) -> &'static str {
        match self {
            Self::UnknownTimezone { .. } => "timezone",
            Self::Empty
            | Self::TooLong { .. }
            | Self::FieldCount { .. }
            | Self::ZoneInExpression { .. }
            | Self::UnknownNickname { .. }
            | Self::MalformedPeriod { .. }
            | Self::PeriodOutOfRange { .. }
            | Self::OutOfRange { .. }
            | Self::ZeroStep { .. }
            | Self::Malformed { .. }
            | Self::Unsupported { .. }
            | Self::MixedWeekdays { .. }
            | Self::NotBoth { .. }
            | Self::NeverFires
            | Self::Untranslatable { .. } => "cron_expression",
        }
    }
}

fn without_seconds(found: usize) -> &'static str {
    if found > 5 { ": seconds and years are not supported" } else { "" }
}
