//! The input of a new run.

use chrono::{DateTime, Utc};

use super::{Origin, Priority};
use crate::domain::id::{RunId, ScheduledJobId};
use crate::domain::labels::Labels;
use crate::domain::parameters::ScrapeParameters;
use crate::domain::policy::RunPolicy;

/// Fields mean the same as in [`super::RunSpec`].
#[derive(Clone, Debug)]
pub struct NewRun {
    pub origin: Origin,
    pub scheduled_job_id: Option<ScheduledJobId>,
    pub original_job_id: Option<RunId>,
    pub priority: Priority,
    pub parameters: ScrapeParameters,
    pub requested_by: String,
    pub labels: Labels,
    pub tick_at: Option<DateTime<Utc>>,
    /// Earliest start; `None` and times in the past mean now.
    pub available_at: Option<DateTime<Utc>>,
    pub queued: bool,
    pub policy: RunPolicy,
}
