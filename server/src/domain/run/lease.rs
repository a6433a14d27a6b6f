//! A worker's right to execute an attempt.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::spec::RunSpec;
use super::state::{CANCEL_GRACE, after};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub worker_id: String,
    /// The worker loses the lease at this time unless it extends it.
    pub expires_at: DateTime<Utc>,
    /// Each extension lasts this long.
    pub length: Duration,
    /// No extension reaches beyond this time.
    pub latest_at: DateTime<Utc>,
}

impl Lease {
    /// A lease of `default_length`, unless the run's policy has its own. It ends with the attempt's
    /// timeout or the run's deadline at the latest.
    pub(super) fn new(
        spec: &RunSpec,
        worker_id: String,
        default_length: Duration,
        now: DateTime<Utc>,
    ) -> Self {
        let length = spec.policy.lease_duration.unwrap_or(default_length);
        let attempt_ends = after(now, spec.policy.attempt_timeout());
        let latest_at = spec.deadline_at.map_or(attempt_ends, |ends| ends.min(attempt_ends));
        Self { worker_id, expires_at: after(now, length).min(latest_at), length, latest_at }
    }

    /// The lease extended from `now`. An extension never shortens a lease.
    pub(super) fn extended(self, now: DateTime<Utc>) -> Self {
        let until = after(now, self.length).min(self.latest_at);
        Self { expires_at: self.expires_at.max(until), ..self }
    }

    /// The lease of a cancelled attempt: the worker has [`CANCEL_GRACE`] to stop.
    pub(super) fn cut_short(self, now: DateTime<Utc>) -> Self {
        let ends = now + CANCEL_GRACE;
        Self { expires_at: self.expires_at.min(ends), latest_at: self.latest_at.min(ends), ..self }
    }

    pub fn has_expired(&self, now: DateTime<Utc>) -> bool {
        self.expires_at <= now
    }
}
