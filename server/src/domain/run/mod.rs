//! The state machine of a run, and the only place that decides about a run's state.
//!
//! ```text
//! pending ──lease──▶ running ──▶ completed | failed | cancelled        (final states never change)
//!    │                  └──attempt failed or lease lost, attempts left──▶ pending (with available_at)
//!    └──▶ cancelled
//! ```
//!
//! [`Run::apply`] takes an event and gives the run after it, with a revision one higher; storing it
//! is a compare-and-set on the revision. Workers are fenced by the attempt's number: an event of
//! another attempt than the current one does not fit.

mod event;
mod state;
#[cfg(test)]
mod tests;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

pub use self::event::{Event, InvalidTransition};
pub use self::state::{Counts, FailedLocation, Origin, Priority, Progress, Status};

use super::id::{RunId, ScheduledJobId};
use super::labels::Labels;
use super::parameters::ScrapeParameters;
use super::retry;

/// One execution of a scraping job. The fields are those of the API.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// The scheduled job that it belongs to, for ever.
    pub scheduled_job_id: Option<ScheduledJobId>,
    /// The run whose id was triggered.
    pub original_job_id: Option<RunId>,
    /// Why it exists.
    pub origin: Origin,
    /// State.
    pub status: Status,
    /// Priority.
    pub priority: Priority,
    /// What it scrapes, as decided when it was made.
    pub parameters: ScrapeParameters,
    /// Who asked; empty for a tick.
    pub requested_by: String,
    /// Those of its scheduled job as they were, and its own.
    pub labels: Labels,
    /// The tick that made it.
    pub tick_at: Option<DateTime<Utc>>,
    /// When it was decided.
    pub created_at: DateTime<Utc>,
    /// Not leased before.
    pub available_at: DateTime<Utc>,
    /// Start of the first attempt.
    pub started_at: Option<DateTime<Utc>>,
    /// Its end.
    pub completed_at: Option<DateTime<Utc>>,
    /// When a cancellation was asked for.
    pub cancel_requested_at: Option<DateTime<Utc>>,
    /// Rows and properties so far, over all attempts.
    pub counts: Counts,
    /// Locations so far in the current attempt.
    pub progress: Progress,
    /// Attempts begun; the current one's number, and its worker's fence.
    pub attempt: i32,
    /// At most so many.
    pub max_attempts: i32,
    /// Why the last attempt failed; empty if all went well.
    pub error_message: String,
    /// Changes so far.
    pub revision: i64,
    /// The worker's right to execute it; present exactly while it is running.
    pub lease: Option<Lease>,
}

/// A worker's right to execute an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The worker.
    pub worker_id: String,
    /// It loses the right then, unless it extends it.
    pub expires_at: DateTime<Utc>,
}

/// What a new run is made of.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// Why it exists.
    pub origin: Origin,
    /// The scheduled job that it belongs to.
    pub scheduled_job_id: Option<ScheduledJobId>,
    /// The run whose id was triggered.
    pub original_job_id: Option<RunId>,
    /// Priority.
    pub priority: Priority,
    /// What it scrapes.
    pub parameters: ScrapeParameters,
    /// Who asked.
    pub requested_by: String,
    /// To find it.
    pub labels: Labels,
    /// The tick that makes it.
    pub tick_at: Option<DateTime<Utc>>,
    /// Not leased before; a time in the past means now.
    pub available_at: Option<DateTime<Utc>>,
}

impl Run {
    /// A new pending run. `random` makes its id unique.
    pub fn new(new: NewRun, now: DateTime<Utc>, random: u64) -> Self {
        // A run that was triggered by another run's id is named like a one-off, as it always was.
        let named_after = match new.original_job_id {
            None => new.scheduled_job_id.as_ref(),
            Some(_) => None,
        };
        let id = RunId::new(new.origin, named_after, new.tick_at.unwrap_or(now), random);
        Self {
            id,
            scheduled_job_id: new.scheduled_job_id,
            original_job_id: new.original_job_id,
            origin: new.origin,
            status: Status::Pending,
            priority: new.priority,
            requested_by: new.requested_by,
            labels: new.labels,
            tick_at: new.tick_at,
            created_at: now,
            available_at: new.available_at.unwrap_or(now).max(now),
            started_at: None,
            completed_at: None,
            cancel_requested_at: None,
            counts: Counts::default(),
            progress: Progress::none_of(new.parameters.locations.len()),
            parameters: new.parameters,
            attempt: 0,
            max_attempts: retry::MAX_ATTEMPTS,
            error_message: String::new(),
            revision: 1,
            lease: None,
        }
    }

    /// The run after `event`; the revision is one higher.
    pub fn apply(self, event: Event, now: DateTime<Utc>) -> Result<Self, InvalidTransition> {
        let mut run = match (self.status, event) {
            (Status::Pending, Event::Leased { worker_id, lease }) => {
                self.leased(worker_id, lease, now)
            }
            (Status::Pending, Event::CancelRequested) => {
                Self { cancel_requested_at: Some(now), ..self }.ended(Status::Cancelled, now)
            }
            (Status::Running, Event::Progressed { attempt, counts, progress })
                if attempt == self.attempt =>
            {
                Self { counts, progress, ..self }
            }
            (Status::Running, Event::Completed { attempt }) if attempt == self.attempt => {
                Self { error_message: String::new(), ..self }.ended(Status::Completed, now)
            }
            (Status::Running, Event::AttemptFailed { attempt, reason })
                if attempt == self.attempt =>
            {
                self.attempt_lost(reason, now)
            }
            (Status::Running, Event::CancelNoticed { attempt })
                if attempt == self.attempt && self.cancel_requested_at.is_some() =>
            {
                self.ended(Status::Cancelled, now)
            }
            (Status::Running, Event::LeaseExpired) if self.lease_expired(now) => {
                let reason = self.lease_lost_reason();
                self.attempt_lost(reason, now)
            }
            (Status::Running, Event::Released { attempt }) if attempt == self.attempt => {
                self.released(now)
            }
            (Status::Running, Event::CancelRequested) if self.cancel_requested_at.is_none() => {
                Self { cancel_requested_at: Some(now), ..self }
            }
            (status, event) => return Err(InvalidTransition::new(&self.id, status, &event)),
        };
        run.revision += 1;
        Ok(run)
    }

    /// Runs with a smaller rank go first: older ones, and urgent ones before them.
    pub fn rank_at(&self) -> DateTime<Utc> {
        self.created_at - self.priority.boost()
    }

    /// What `past_days` counts back from.
    pub fn reference_time(&self) -> DateTime<Utc> {
        self.tick_at.unwrap_or(self.created_at)
    }

    fn leased(self, worker_id: String, lease: Duration, now: DateTime<Utc>) -> Self {
        let expires_at = now + TimeDelta::from_std(lease).unwrap_or(TimeDelta::MAX);
        Self {
            status: Status::Running,
            started_at: self.started_at.or(Some(now)),
            attempt: self.attempt + 1,
            progress: Progress::none_of(self.parameters.locations.len()),
            lease: Some(Lease { worker_id, expires_at }),
            ..self
        }
    }

    fn lease_expired(&self, now: DateTime<Utc>) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.expires_at <= now)
    }

    fn lease_lost_reason(&self) -> String {
        let worker = self.lease.as_ref().map_or("", |lease| lease.worker_id.as_str());
        format!("worker {worker} was not heard of and lost its lease")
    }

    /// A failure or a lost lease after a cancellation was asked for ends as cancelled.
    fn attempt_lost(self, reason: String, now: DateTime<Utc>) -> Self {
        let run = Self { error_message: reason, ..self };
        if run.cancel_requested_at.is_some() {
            run.ended(Status::Cancelled, now)
        } else if run.attempt >= run.max_attempts {
            run.ended(Status::Failed, now)
        } else {
            let delay = TimeDelta::from_std(retry::delay_after(run.attempt));
            let available_at = now + delay.unwrap_or(TimeDelta::MAX);
            Self { status: Status::Pending, available_at, lease: None, ..run }
        }
    }

    /// A worker that stops gives its attempt back; it was not the run's fault, so another is added.
    fn released(self, now: DateTime<Utc>) -> Self {
        if self.cancel_requested_at.is_some() {
            return self.ended(Status::Cancelled, now);
        }
        let max_attempts = self.max_attempts.saturating_add(1);
        Self { status: Status::Pending, available_at: now, max_attempts, lease: None, ..self }
    }

    fn ended(self, status: Status, now: DateTime<Utc>) -> Self {
        Self { status, completed_at: Some(now), lease: None, ..self }
    }
}
