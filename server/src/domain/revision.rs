//! Revisions of a scheduled job: which settings and which status held when, and who made them so.

use chrono::{DateTime, Utc};
use strum::{Display, EnumString, IntoStaticStr};

use super::scheduled_job::ScheduledJob;

/// What made a revision of a scheduled job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Change {
    Created,
    /// Its settings were changed.
    Updated,
    /// It was paused, or its pause was changed.
    Paused,
    /// It was resumed, or its pause was over.
    Resumed,
    /// It was switched off.
    Deactivated,
    Deleted,
    Undeleted,
    /// It came from the system before.
    Imported,
}

/// Settings and status of a scheduled job from an instant on. They decide about the ticks after it, up to
/// the next revision's.
#[derive(Clone, Debug)]
pub struct Revision {
    pub valid_from: DateTime<Utc>,
    /// Who changed the job; empty when a pause ended by itself.
    pub changed_by: String,
    pub change: Change,
    /// The job as it was then, with the number of the revision. It has no history and no next tick.
    pub job: ScheduledJob,
}
