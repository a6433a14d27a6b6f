//! Why a schedule was refused: one sentence for the person who wrote it, and the field it is about.

/// A cron expression or time zone that Windrow does not accept.
///
/// The text names the defect and not the field; [`ScheduleError::field`] has the field, as the API
/// spells it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Nothing but white space was given.
    #[error("an expression of 5 fields is required, such as '0 6 * * *'")]
    Empty,
    /// Longer than any sensible expression.
    #[error("expression is longer than {limit} bytes")]
    TooLong {
        /// The most bytes that are read.
        limit: usize,
    },
    /// Four fields, or six (seconds), or seven (years).
    #[error("expected 5 fields, found {found}{}", without_seconds(*found))]
    FieldCount {
        /// How many fields there are.
        found: usize,
    },
    /// A word with `@` in front that is none of croniter's.
    #[error(
        "unknown nickname '{text}', expected @hourly, @daily, @midnight, @weekly, @monthly, \
         @yearly or @annually"
    )]
    UnknownNickname { text: String },
    /// A number that the field does not have.
    #[error("{part} {value} is out of range {min}-{max}")]
    OutOfRange {
        /// Which of the five parts.
        part: &'static str,
        /// The number as written.
        value: String,
        /// The smallest number of the field.
        min: u32,
        /// The largest number of the field.
        max: u32,
    },
    /// `*/0` would never advance.
    #[error("{part} '{text}' has a step of zero")]
    ZeroStep {
        /// Which of the five parts.
        part: &'static str,
        /// The list item as written.
        text: String,
    },
    /// Neither a number nor a name, range or step.
    #[error("{part} '{text}' is not a number, name, range or step")]
    Malformed {
        /// Which of the five parts.
        part: &'static str,
        /// The list item as written.
        text: String,
    },
    /// Syntax of other cron dialects.
    #[error("{part} '{text}' uses {feature}, which is not supported")]
    Unsupported {
        /// Which of the five parts.
        part: &'static str,
        /// The list item as written.
        text: String,
        /// What it would mean elsewhere.
        feature: &'static str,
    },
    /// `1,1#2`: the plain days would have no effect.
    #[error(
        "day of week '{text}' mixes days of every week with days of the month (# or l), which is \
         not supported"
    )]
    MixedWeekdays {
        /// The field as written.
        text: String,
    },
    /// `0 0 13 * 5#2`: the day of the month would have no effect.
    #[error(
        "day of week '{text}' is a day of the month (# or l) already, so day of month must be '*' \
         and not '{day_of_month}'"
    )]
    NotBoth {
        /// The day of week as written.
        text: String,
        /// The day of month as written.
        day_of_month: String,
    },
    /// February the 30th and its like.
    #[error("can never fire: there is no such day in such a month")]
    NeverFires,
    /// The matching library refused what we translated; a defect of ours.
    #[error("internal error: could not translate to '{translated}'")]
    Untranslatable {
        /// The expression in the library's dialect.
        translated: String,
    },
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
            | Self::UnknownNickname { .. }
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

/// Other dialects have fields for seconds and years.
fn without_seconds(found: usize) -> &'static str {
    if found > 5 { ": seconds and years are not supported" } else { "" }
}
