//! Ids of scheduled jobs and runs. Their parts are hints for people; code reads fields instead.

use std::fmt;

use chrono::{DateTime, Utc};

use super::run::Origin;

/// Maximum length of a scheduled job id.
pub const SCHEDULED_JOB_ID_LENGTH: usize = 63;
/// Maximum length of a run id: more than a prefix, a scheduled job id, a time and 12 hex digits, because
/// imported runs keep their ids.
pub const RUN_ID_LENGTH: usize = 200;
const RESERVED: [&str; 6] =
    ["triggered_", "scheduled_", "backfill_", "retry_", "immediate_", "recurring_"];

/// A text that is not a valid id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidId(String);

/// Id of a scheduled job: `[a-z0-9][a-z0-9_-]{0,62}`, without a prefix of run ids.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScheduledJobId(String);

impl ScheduledJobId {
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let is_well_formed = text.starts_with(word)
            && text.len() <= SCHEDULED_JOB_ID_LENGTH
            && text.chars().all(|c| word(c) || c == '_' || c == '-');
        if !is_well_formed {
            return Err(InvalidId("must match [a-z0-9][a-z0-9_-]{0,62}".to_owned()));
        }
        if let Some(prefix) = RESERVED.iter().find(|prefix| text.starts_with(**prefix)) {
            return Err(InvalidId(format!(
                "must not start with '{prefix}', which is reserved for ids of runs"
            )));
        }
        Ok(Self(text.to_owned()))
    }

    /// Generates an id from a name, with a random suffix because ids are never reused.
    pub fn from_name(name: &str, random: u64) -> Self {
        let mut slug = String::new();
        for c in name.chars().flat_map(char::to_lowercase) {
            match c {
                'a'..='z' | '0'..='9' => slug.push(c),
                _ if slug.is_empty() || slug.ends_with('_') => {}
                _ => slug.push('_'),
            }
        }
        slug.truncate(40);
        let slug = slug.trim_end_matches('_');
        let suffix = random & 0xff_ffff;
        let id = format!("{}_{suffix:06x}", if slug.is_empty() { "job" } else { slug });
        Self::parse(&id).unwrap_or_else(|_| Self(format!("job_{id}")))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ScheduledJobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Id of a run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(String);

impl RunId {
    /// Accepts 1 to 200 printable ASCII characters, no stricter form, because imported runs keep their
    /// ids.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        if text.is_empty() || text.len() > RUN_ID_LENGTH {
            return Err(InvalidId(format!("must have 1 to {RUN_ID_LENGTH} characters")));
        }
        if !text.chars().all(|c| c.is_ascii_graphic()) {
            return Err(InvalidId("must consist of printable ASCII characters".to_owned()));
        }
        Ok(Self(text.to_owned()))
    }

    /// Generates `{origin}_{scheduled job}_{unix seconds}_{12 hex digits}`; without a scheduled job
    /// `immediate_…`, or `retry_…` for a retry. `at` is the tick of a scheduled run, otherwise the creation
    /// time.
    pub fn new(
        origin: Origin,
        scheduled_job: Option<&ScheduledJobId>,
        at: DateTime<Utc>,
        random: u64,
    ) -> Self {
        let random = random & 0xffff_ffff_ffff;
        let seconds = at.timestamp();
        Self(match scheduled_job {
            Some(job) => format!("{origin}_{job}_{seconds}_{random:012x}"),
            None if origin == Origin::Retry => format!("{origin}_{seconds}_{random:012x}"),
            None => format!("{}_{seconds}_{random:012x}", Origin::Immediate),
        })
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheduled_job_id_has_the_documented_form() {
        for good in ["a", "sold_daily_indy", "0-x", &"a".repeat(63)] {
            assert!(ScheduledJobId::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "_a", "A", "a b", "ä", "triggered_x", "scheduled_", &"a".repeat(64)] {
            assert!(ScheduledJobId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_id_generated_from_any_name_is_valid() {
        for name in ["Daily Sold — Indianapolis", "!!!", "", "Scheduled runs", &"x".repeat(300)] {
            let id = ScheduledJobId::from_name(name, 0xabc_def0_1234);
            assert!(ScheduledJobId::parse(id.as_str()).is_ok(), "{name} gave {id}");
        }
    }

    #[test]
    fn run_ids_name_their_origin_job_and_time() {
        let job = ScheduledJobId::parse("sold_daily").unwrap();
        let at = DateTime::from_timestamp(1_736_841_234, 0).unwrap();
        let id = RunId::new(Origin::Triggered, Some(&job), at, 0xabc);
        assert_eq!(id.as_str(), "triggered_sold_daily_1736841234_000000000abc");
        let id = RunId::new(Origin::Triggered, None, at, u64::MAX);
        assert_eq!(id.as_str(), "immediate_1736841234_ffffffffffff");
    }
}
