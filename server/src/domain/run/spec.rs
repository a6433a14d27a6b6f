//! The part of a run that is decided once, when the run is created.

use chrono::{DateTime, Utc};

use super::state::after;
use super::{NewRun, Origin, Priority};
use crate::domain::id::{RunId, ScheduledJobId};
use crate::domain::labels::Labels;
use crate::domain::parameters::ScrapeParameters;
use crate::domain::policy::RunPolicy;

#[derive(Clone, Debug, PartialEq)]
pub struct RunSpec {
    pub id: RunId,
    /// The scheduled job that the run belongs to. The link is never removed.
    pub scheduled_job_id: Option<ScheduledJobId>,
    /// The run that was triggered or retried to create this one.
    pub original_job_id: Option<RunId>,
    pub origin: Origin,
    pub priority: Priority,
    pub parameters: ScrapeParameters,
    /// The caller; empty for a tick.
    pub requested_by: String,
    /// Labels of the scheduled job at creation, merged with the run's own.
    pub labels: Labels,
    /// The tick that created the run.
    pub tick_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    /// The run is not leased before the runs of earlier ticks of its job have ended.
    pub queued: bool,
    pub policy: RunPolicy,
    /// The run fails at this time unless it has ended.
    pub deadline_at: Option<DateTime<Utc>>,
}

impl RunSpec {
    pub(super) fn new(
        new: NewRun,
        available_at: DateTime<Utc>,
        now: DateTime<Utc>,
        random: u64,
    ) -> Self {
        // For compatibility, a run that was triggered by another run's id is named like a one-off.
        let like_a_one_off = new.original_job_id.is_some() && new.origin == Origin::Triggered;
        let named_after = new.scheduled_job_id.as_ref().filter(|_| !like_a_one_off);
        Self {
            id: RunId::new(new.origin, named_after, new.tick_at.unwrap_or(now), random),
            scheduled_job_id: new.scheduled_job_id,
            original_job_id: new.original_job_id,
            origin: new.origin,
            priority: new.priority,
            parameters: new.parameters,
            requested_by: new.requested_by,
            labels: new.labels,
            tick_at: new.tick_at,
            created_at: now,
            queued: new.queued,
            deadline_at: new.policy.run_timeout.map(|limit| after(available_at, limit)),
            policy: new.policy,
        }
    }

    /// Work order: runs with a smaller rank are leased first. Higher priorities rank as if older.
    pub fn rank_at(&self) -> DateTime<Utc> {
        self.created_at - self.priority.boost()
    }

    /// The instant that `past_days` counts back from.
    pub fn reference_time(&self) -> DateTime<Utc> {
        self.tick_at.unwrap_or(self.created_at)
    }

    pub(super) fn deadline_passed(&self, now: DateTime<Utc>) -> bool {
        self.deadline_at.is_some_and(|deadline| deadline <= now)
    }
}
