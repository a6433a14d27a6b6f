//! The part of a run that changes, and the state machine that changes it.
//!
//! ```text
//! pending ──lease──▶ running ──▶ completed | failed | cancelled        (final states never change)
//!    │                  └──attempt failed or lease lost, attempts left──▶ pending (with available_at)
//!    └──▶ cancelled
//! ```
//!
//! [`RunState::apply`] returns the state after an event, with a revision one higher; storing it is a
//! compare-and-set on the revision. The attempt number fences workers: an event of any attempt other
//! than the current one is rejected.
//!
//! No run stays running: a lease never extends beyond [`super::Lease::latest_at`], which is the
//! attempt's timeout, the run's deadline, or the end of the grace period after a cancellation.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    Counts, Event, Failure, InvalidTransition, Lease, LocationResult, Progress, RunSpec, Status,
};

/// A worker that does not stop within this time after a cancellation loses its lease.
pub const CANCEL_GRACE: Duration = Duration::from_secs(10);

/// Maximum length of the reason of a failed attempt, in characters. A longer one is cut: a worker whose report is
/// rejected could not end its attempt. Every list of runs and every watch sends the reason.
pub const ERROR_LENGTH: usize = 2_000;

#[derive(Clone, Debug, PartialEq)]
pub struct RunState {
    pub status: Status,
    /// The run is not leased before this time.
    pub available_at: DateTime<Utc>,
    /// Start of the first attempt.
    pub started_at: Option<DateTime<Utc>>,
    /// End of the run, for every final status.
    pub completed_at: Option<DateTime<Utc>>,
    pub cancel_requested_at: Option<DateTime<Utc>>,
    /// Sums over all attempts.
    pub counts: Counts,
    pub progress: Progress,
    /// Number of attempts started, and so the number of the current one: its worker's fencing token.
    pub attempt: i32,
    /// Start of the current or last attempt.
    pub attempt_started_at: Option<DateTime<Utc>>,
    /// The policy's limit, plus one for each attempt that a stopping worker released.
    pub max_attempts: i32,
    /// Reason of the last attempt's failure; empty if it did not fail.
    pub error_message: String,
    pub revision: i64,
    /// Present exactly while the run is running.
    pub lease: Option<Lease>,
}

impl RunState {
    /// The state of a new run.
    pub fn pending(spec: &RunSpec, available_at: DateTime<Utc>) -> Self {
        Self {
            status: Status::Pending,
            available_at,
            started_at: None,
            completed_at: None,
            cancel_requested_at: None,
            counts: Counts::default(),
            progress: Progress::none_of(spec.parameters.locations.len()),
            attempt: 0,
            attempt_started_at: None,
            max_attempts: spec.policy.max_attempts(),
            error_message: String::new(),
            revision: 1,
            lease: None,
        }
    }

    /// The state after `event`; the revision is one higher.
    pub fn apply(
        self,
        spec: &RunSpec,
        event: Event,
        now: DateTime<Utc>,
    ) -> Result<Self, InvalidTransition> {
        let mut state = match (self.status, event) {
            (Status::Pending, Event::Leased { worker_id, lease }) => {
                self.leased(Lease::new(spec, worker_id, lease, now), now)
            }
            (Status::Pending, Event::CancelRequested) => {
                Self { cancel_requested_at: Some(now), ..self }.ended(Status::Cancelled, now)
            }
            (Status::Pending, Event::DeadlinePassed) if spec.deadline_passed(now) => {
                self.timed_out(spec).ended(Status::Failed, now)
            }
            (Status::Running, Event::Progressed { attempt, found, results })
                if attempt == self.attempt =>
            {
                self.progressed(spec, found, results, now)
            }
            (Status::Running, Event::Done { attempt }) if attempt == self.attempt => {
                self.done(spec, now)
            }
            (Status::Running, Event::AttemptFailed { attempt, reason, permanent })
                if attempt == self.attempt =>
            {
                self.attempt_lost(spec, Failure { reason, permanent }, now)
            }
            (Status::Running, Event::CancelNoticed { attempt })
                if attempt == self.attempt && self.cancel_requested_at.is_some() =>
            {
                self.ended(Status::Cancelled, now)
            }
            (Status::Running, Event::LeaseExpired) if self.lease_expired(now) => {
                let reason = self.lease_lost_reason(spec, now);
                self.attempt_lost(spec, Failure { reason, permanent: false }, now)
            }
            (Status::Running, Event::Released { attempt }) if attempt == self.attempt => {
                self.released(now)
            }
            (Status::Running, Event::CancelRequested) if self.cancel_requested_at.is_none() => {
                self.cancel_requested(now)
            }
            (status, event) => return Err(InvalidTransition::new(&spec.id, status, &event)),
        };
        state.revision += 1;
        Ok(state)
    }

    fn leased(self, lease: Lease, now: DateTime<Utc>) -> Self {
        Self {
            status: Status::Running,
            started_at: self.started_at.or(Some(now)),
            attempt: self.attempt + 1,
            attempt_started_at: Some(now),
            progress: self.progress.for_another_attempt(),
            lease: Some(lease),
            ..self
        }
    }

    fn progressed(
        self,
        spec: &RunSpec,
        found: Counts,
        results: Vec<LocationResult>,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            counts: self.counts + found,
            progress: self.progress.with(results, &spec.parameters.locations),
            lease: self.lease.map(|lease| lease.extended(now)),
            ..self
        }
    }

    /// An attempt that went through all its locations has still failed if none succeeded.
    fn done(self, spec: &RunSpec, now: DateTime<Utc>) -> Self {
        match self.progress.failure() {
            Some(failure) => self.attempt_lost(spec, failure, now),
            None => Self { error_message: String::new(), ..self }.ended(Status::Completed, now),
        }
    }

    fn cancel_requested(self, now: DateTime<Utc>) -> Self {
        let lease = self.lease.map(|lease| lease.cut_short(now));
        Self { cancel_requested_at: Some(now), lease, ..self }
    }

    fn lease_expired(&self, now: DateTime<Utc>) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.has_expired(now))
    }

    fn lease_lost_reason(&self, spec: &RunSpec, now: DateTime<Utc>) -> String {
        let worker = self.lease.as_ref().map_or("", |lease| lease.worker_id.as_str());
        let timeout = spec.policy.attempt_timeout();
        if self.cancel_requested_at.is_some() {
            return format!("worker {worker} did not stop after the run was cancelled");
        }
        if self.attempt_started_at.is_some_and(|start| after(start, timeout) <= now) {
            let timeout = humantime::format_duration(timeout);
            return format!("attempt timeout of {timeout} exceeded");
        }
        if spec.deadline_passed(now) {
            return run_timeout_exceeded(spec);
        }
        format!("lease of worker {worker} expired: no heartbeat")
    }

    /// A failure or a lost lease after a cancellation ends the run as cancelled.
    fn attempt_lost(self, spec: &RunSpec, failure: Failure, now: DateTime<Utc>) -> Self {
        let state = Self { error_message: failure.reason, ..self };
        if state.cancel_requested_at.is_some() {
            return state.ended(Status::Cancelled, now);
        }
        if failure.permanent || state.attempt >= state.max_attempts {
            return state.ended(Status::Failed, now);
        }
        let available_at = after(now, spec.policy.pause_after(state.attempt, spec.id.as_str()));
        if spec.deadline_passed(available_at) {
            return state.timed_out(spec).ended(Status::Failed, now);
        }
        Self { status: Status::Pending, available_at, lease: None, ..state }
    }

    /// Sets the error of a run whose deadline has passed or leaves no time for another attempt.
    fn timed_out(self, spec: &RunSpec) -> Self {
        let exceeded = run_timeout_exceeded(spec);
        let error_message = match self.error_message.as_str() {
            "" => exceeded,
            error if error == exceeded => exceeded,
            error => format!("{exceeded}; last attempt: {error}"),
        };
        Self { error_message, ..self }
    }

    /// A stopping worker returns its attempt. The run is not to blame, so another attempt is added.
    fn released(self, now: DateTime<Utc>) -> Self {
        if self.cancel_requested_at.is_some() {
            return self.ended(Status::Cancelled, now);
        }
        Self {
            status: Status::Pending,
            available_at: now,
            max_attempts: self.max_attempts.saturating_add(1),
            // The error of an earlier attempt would be taken for that of this one.
            error_message: String::new(),
            lease: None,
            ..self
        }
    }

    fn ended(self, status: Status, now: DateTime<Utc>) -> Self {
        Self { status, completed_at: Some(now), lease: None, ..self }
    }
}

fn run_timeout_exceeded(spec: &RunSpec) -> String {
    let timeout = humantime::format_duration(spec.policy.run_timeout.unwrap_or_default());
    format!("run timeout of {timeout} exceeded")
}

/// `start` plus `length`, saturating at the last instant of the calendar.
pub(super) fn after(start: DateTime<Utc>, length: Duration) -> DateTime<Utc> {
    let length = TimeDelta::from_std(length).unwrap_or(TimeDelta::MAX);
    start.checked_add_signed(length).unwrap_or(DateTime::<Utc>::MAX_UTC)
}
