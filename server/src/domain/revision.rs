//! Revisions of a scheduled job: which settings and which status held when, and who made them so.

use chrono::{DateTime, Utc};

use super::scheduled_job::ScheduledJob;
use super::text::words;

words! {
    /// What made a revision of a scheduled job.
    Change {
        Created = "created",
        /// Its settings were changed.
        Updated = "updated",
        /// It was paused, or its pause was changed.
        Paused = "paused",
        /// It was resumed, or its pause was over.
        Resumed = "resumed",
        /// It was switched off.
        Deactivated = "deactivated",
        Deleted = "deleted",
        Undeleted = "undeleted",
        /// It came from the system before.
        Imported = "imported",
    }
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
