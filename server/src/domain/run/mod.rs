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
//!
//! Nothing stays running: a lease never reaches beyond its [`Lease::latest_at`], where the attempt's
//! time, the run's time or the patience with a cancelled worker ends.

mod event;
mod progress;
mod state;
#[cfg(test)]
mod tests;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

pub use self::event::{Event, InvalidTransition};
pub use self::progress::{FailedLocation, Failure, LocationResult, Progress};
pub use self::state::{Counts, Origin, Priority, Status};

use super::id::{RunId, ScheduledJobId};
use super::labels::Labels;
use super::parameters::ScrapeParameters;
use super::policy::RunPolicy;
use super::scheduled_job::ScheduledJob;

/// How long a worker may take to stop after a cancellation; then its lease is lost.
pub const CANCEL_GRACE: Duration = Duration::from_secs(10);

/// One execution of a scraping job. The fields are those of the API.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    pub id: RunId,
    /// The scheduled job that it belongs to, for ever.
    pub scheduled_job_id: Option<ScheduledJobId>,
    /// The run whose id was triggered.
    pub original_job_id: Option<RunId>,
    pub origin: Origin,
    pub status: Status,
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
    pub available_at: DateTime<Utc>,
    /// Not leased before the runs of earlier ticks of its job have ended.
    pub queued: bool,
    /// Start of the first attempt.
    pub started_at: Option<DateTime<Utc>>,
    pub completed_at: Option<DateTime<Utc>>,
    /// When a cancellation was asked for.
    pub cancel_requested_at: Option<DateTime<Utc>>,
    /// Rows and properties so far, over all attempts.
    pub counts: Counts,
    pub progress: Progress,
    /// How stubbornly it is tried.
    pub policy: RunPolicy,
    /// It fails then unless it has ended.
    pub deadline_at: Option<DateTime<Utc>>,
    /// Attempts begun; the current one's number, and its worker's fence.
    pub attempt: i32,
    /// Start of the current or last attempt.
    pub attempt_started_at: Option<DateTime<Utc>>,
    /// At most so many attempts.
    pub max_attempts: i32,
    /// Why the last attempt failed; empty if all went well.
    pub error_message: String,
    pub revision: i64,
    /// The worker's right to execute it; present exactly while it is running.
    pub lease: Option<Lease>,
}

/// A worker's right to execute an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub worker_id: String,
    /// It loses the right then, unless it extends it.
    pub expires_at: DateTime<Utc>,
    /// How long it may be silent.
    pub length: Duration,
    /// The lease cannot be extended beyond this time.
    pub latest_at: DateTime<Utc>,
}

/// What a new run is made of.
#[derive(Clone, Debug)]
pub struct NewRun {
    pub origin: Origin,
    /// The scheduled job that it belongs to.
    pub scheduled_job_id: Option<ScheduledJobId>,
    /// The run whose id was triggered.
    pub original_job_id: Option<RunId>,
    pub priority: Priority,
    pub parameters: ScrapeParameters,
    pub requested_by: String,
    pub labels: Labels,
    /// The tick that makes it.
    pub tick_at: Option<DateTime<Utc>>,
    /// Not leased before; a time in the past means now.
    pub available_at: Option<DateTime<Utc>>,
    /// Not leased before the runs of earlier ticks of its job have ended.
    pub queued: bool,
    /// How stubbornly it is tried.
    pub policy: RunPolicy,
}

impl NewRun {
    /// A run of a scheduled job's tick, with the settings of now.
    pub fn of_tick(job: &ScheduledJob, origin: Origin, tick: DateTime<Utc>) -> Self {
        Self {
            origin,
            scheduled_job_id: Some(job.id.clone()),
            original_job_id: None,
            priority: Priority::Normal,
            parameters: job.settings.parameters.clone(),
            requested_by: String::new(),
            labels: job.settings.labels.clone(),
            tick_at: Some(tick),
            available_at: None,
            queued: false,
            policy: job.settings.policy.clone(),
        }
    }
}

impl Run {
    /// A new pending run. `random` makes its id unique.
    pub fn new(new: NewRun, now: DateTime<Utc>, random: u64) -> Self {
        // A run that was triggered by another run's id is named like a one-off, as it always was.
        let like_a_one_off = new.original_job_id.is_some() && new.origin == Origin::Triggered;
        let named_after = new.scheduled_job_id.as_ref().filter(|_| !like_a_one_off);
        let id = RunId::new(new.origin, named_after, new.tick_at.unwrap_or(now), random);
        let available_at = new.available_at.unwrap_or(now).max(now);
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
            available_at,
            queued: new.queued,
            started_at: None,
            completed_at: None,
            cancel_requested_at: None,
            counts: Counts::default(),
            progress: Progress::none_of(new.parameters.locations.len()),
            parameters: new.parameters,
            deadline_at: new.policy.run_timeout.map(|limit| after(available_at, limit)),
            max_attempts: new.policy.max_attempts(),
            policy: new.policy,
            attempt: 0,
            attempt_started_at: None,
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
            (Status::Pending, Event::DeadlinePassed) if self.deadline_passed(now) => {
                self.given_up().ended(Status::Failed, now)
            }
            (Status::Running, Event::Progressed { attempt, found, results })
                if attempt == self.attempt =>
            {
                self.progressed(found, results, now)
            }
            (Status::Running, Event::Done { attempt }) if attempt == self.attempt => {
                match self.progress.failure() {
                    Some(Failure { reason, permanent }) => {
                        self.attempt_lost(reason, permanent, now)
                    }
                    None => {
                        Self { error_message: String::new(), ..self }.ended(Status::Completed, now)
                    }
                }
            }
            (Status::Running, Event::AttemptFailed { attempt, reason, permanent })
                if attempt == self.attempt =>
            {
                self.attempt_lost(reason, permanent, now)
            }
            (Status::Running, Event::CancelNoticed { attempt })
                if attempt == self.attempt && self.cancel_requested_at.is_some() =>
            {
                self.ended(Status::Cancelled, now)
            }
            (Status::Running, Event::LeaseExpired) if self.lease_expired(now) => {
                let reason = self.lease_lost_reason(now);
                self.attempt_lost(reason, false, now)
            }
            (Status::Running, Event::Released { attempt }) if attempt == self.attempt => {
                self.released(now)
            }
            (Status::Running, Event::CancelRequested) if self.cancel_requested_at.is_none() => {
                self.cancel_requested(now)
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

    /// The locations that the current attempt has to do.
    pub fn remaining_locations(&self) -> Vec<String> {
        self.progress.remaining(&self.parameters.locations)
    }

    fn leased(self, worker_id: String, lease: Duration, now: DateTime<Utc>) -> Self {
        let length = self.policy.lease_duration.unwrap_or(lease);
        let attempt_ends = after(now, self.policy.attempt_timeout());
        let latest_at = self.deadline_at.map_or(attempt_ends, |ends| ends.min(attempt_ends));
        let expires_at = after(now, length).min(latest_at);
        Self {
            status: Status::Running,
            started_at: self.started_at.or(Some(now)),
            attempt: self.attempt + 1,
            attempt_started_at: Some(now),
            progress: self.progress.for_another_attempt(),
            lease: Some(Lease { worker_id, expires_at, length, latest_at }),
            ..self
        }
    }

    fn progressed(self, found: Counts, results: Vec<LocationResult>, now: DateTime<Utc>) -> Self {
        let extended = |lease: Lease| {
            let until = after(now, lease.length).min(lease.latest_at);
            Lease { expires_at: lease.expires_at.max(until), ..lease }
        };
        Self {
            counts: self.counts + found,
            progress: self.progress.with(results, &self.parameters.locations),
            lease: self.lease.map(extended),
            ..self
        }
    }

    /// A worker that does not stop soon loses its lease.
    fn cancel_requested(self, now: DateTime<Utc>) -> Self {
        let ends = now + CANCEL_GRACE;
        let cut = |lease: Lease| Lease {
            expires_at: lease.expires_at.min(ends),
            latest_at: lease.latest_at.min(ends),
            ..lease
        };
        Self { cancel_requested_at: Some(now), lease: self.lease.map(cut), ..self }
    }

    fn lease_expired(&self, now: DateTime<Utc>) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.expires_at <= now)
    }

    fn deadline_passed(&self, now: DateTime<Utc>) -> bool {
        self.deadline_at.is_some_and(|deadline| deadline <= now)
    }

    fn lease_lost_reason(&self, now: DateTime<Utc>) -> String {
        let worker = self.lease.as_ref().map_or("", |lease| lease.worker_id.as_str());
        let timeout = self.policy.attempt_timeout();
        if self.cancel_requested_at.is_some() {
            return format!("worker {worker} did not stop when the run was cancelled");
        }
        if self.attempt_started_at.is_some_and(|start| after(start, timeout) <= now) {
            let timeout = humantime::format_duration(timeout);
            return format!("the attempt took longer than {timeout}");
        }
        if self.deadline_passed(now) {
            return "the run's time is over".to_owned();
        }
        format!("worker {worker} was not heard of and lost its lease")
    }

    /// A failure or a lost lease after a cancellation was asked for ends as cancelled.
    fn attempt_lost(self, reason: String, permanent: bool, now: DateTime<Utc>) -> Self {
        let run = Self { error_message: reason, ..self };
        if run.cancel_requested_at.is_some() {
            return run.ended(Status::Cancelled, now);
        }
        if permanent || run.attempt >= run.max_attempts {
            return run.ended(Status::Failed, now);
        }
        let available_at = after(now, run.policy.pause_after(run.attempt, run.id.as_str()));
        if run.deadline_passed(available_at) {
            return run.given_up().ended(Status::Failed, now);
        }
        Self { status: Status::Pending, available_at, lease: None, ..run }
    }

    /// With the reason that its time is over, or is too short for another attempt.
    fn given_up(self) -> Self {
        let limit = humantime::format_duration(self.policy.run_timeout.unwrap_or_default());
        let before = match self.error_message.as_str() {
            "" => String::new(),
            error => format!("; the last attempt: {error}"),
        };
        let error_message = format!("the run had {limit} to end, which are over{before}");
        Self { error_message, ..self }
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

/// Also for lengths beyond what a calendar can hold.
fn after(start: DateTime<Utc>, length: Duration) -> DateTime<Utc> {
    let length = TimeDelta::from_std(length).unwrap_or(TimeDelta::MAX);
    start.checked_add_signed(length).unwrap_or(DateTime::<Utc>::MAX_UTC)
}
