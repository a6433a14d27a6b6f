//! Revisions of a scheduled job: its past settings and status, with the author of each change.

use chrono::{DateTime, Utc};
use strum::{Display, EnumString, IntoStaticStr};

use super::scheduled_job::ScheduledJob;

/// The change that created a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Change {
    Created,
    Updated,
    /// The job was paused, or its pause changed.
    Paused,
    /// The job was resumed, or its pause ended.
    Resumed,
    Deactivated,
    Deleted,
    Undeleted,
    /// The job was imported from the legacy system.
    Imported,
}

/// Settings and status of a scheduled job from an instant on. They apply to the ticks after it, until the
/// next revision.
#[derive(Clone, Debug)]
pub struct Revision {
    pub valid_from: DateTime<Utc>,
    /// Author of the change; empty if a pause expired.
    pub changed_by: String,
    pub change: Change,
    /// The job at this revision, without history and next tick.
    pub job: ScheduledJob,
}
