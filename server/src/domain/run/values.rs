//! Small values of a run.

use chrono::TimeDelta;
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// State of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Status {
    /// Waiting for a worker.
    Pending,
    Running,
    Completed,
    Failed,
    Cancelled,
}

/// Reason for the existence of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Origin {
    Scheduled,
    Triggered,
    Immediate,
    Recurring,
    /// A past tick, requested by a backfill.
    Backfill,
    /// Retries the failed locations of another run.
    Retry,
}

/// Urgency of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Priority {
    Low,
    /// Default for schedules and one-offs.
    Normal,
    High,
    Immediate,
}

impl Status {
    /// Whether the status never changes again.
    pub fn is_final(self) -> bool {
        match self {
            Self::Pending | Self::Running => false,
            Self::Completed | Self::Failed | Self::Cancelled => true,
        }
    }
}

impl Priority {
    /// Head start in the work order. It is a difference and not a class, so urgent runs go first for
    /// days but never starve the others.
    pub(super) fn boost(self) -> TimeDelta {
        match self {
            Self::Immediate => TimeDelta::days(10),
            Self::High => TimeDelta::days(1),
            Self::Normal => TimeDelta::zero(),
            Self::Low => TimeDelta::days(-1),
        }
    }
}

/// Counts of rows and properties: scraped = saved + skipped + duplicate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub scraped: i64,
    /// Properties inserted or updated.
    pub saved: i64,
    pub updated: i64,
    /// Unchanged properties.
    pub skipped: i64,
    /// Rows whose property the run had already read.
    pub duplicate: i64,
}

impl std::ops::Add for Counts {
    type Output = Self;

    fn add(self, more: Self) -> Self {
        Self {
            scraped: self.scraped + more.scraped,
            saved: self.saved + more.saved,
            updated: self.updated + more.updated,
            skipped: self.skipped + more.skipped,
            duplicate: self.duplicate + more.duplicate,
        }
    }
}
