//! Events of a run.

use std::time::Duration;

use super::{Counts, LocationResult, Status};
use crate::domain::id::RunId;

/// Input of the state machine. Events of a worker carry its attempt number, which fences them.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A worker leases the run and starts an attempt.
    Leased {
        worker_id: String,
        /// Length of the lease unless the run's policy sets its own.
        lease: Duration,
    },
    /// The worker reports progress, which extends its lease.
    Progressed {
        attempt: i32,
        /// Counts since the last report.
        found: Counts,
        /// Locations that ended since the last report.
        results: Vec<LocationResult>,
    },
    /// The attempt went through all its locations.
    Done {
        attempt: i32,
    },
    /// The attempt stopped early.
    AttemptFailed {
        attempt: i32,
        reason: String,
        /// Another attempt would fail in the same way.
        permanent: bool,
    },
    /// The worker stopped because of a cancellation.
    CancelNoticed {
        attempt: i32,
    },
    /// The worker is shutting down and returns the attempt.
    Released {
        attempt: i32,
    },
    LeaseExpired,
    /// The run's deadline passed while no worker had it.
    DeadlinePassed,
    CancelRequested,
}

impl Event {
    fn name(&self) -> &'static str {
        match self {
            Self::Leased { .. } => "leased",
            Self::Progressed { .. } => "progressed",
            Self::Done { .. } => "done",
            Self::AttemptFailed { .. } => "failed in an attempt",
            Self::CancelNoticed { .. } => "stopped by a cancellation",
            Self::Released { .. } => "released",
            Self::LeaseExpired => "taken from its worker",
            Self::DeadlinePassed => "timed out",
            Self::CancelRequested => "cancelled",
        }
    }
}

/// Rejects an event that does not fit the run's status or attempt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("run {run_id} is {status} and cannot be {event}")]
pub struct InvalidTransition {
    pub run_id: RunId,
    pub status: Status,
    event: &'static str,
}

impl InvalidTransition {
    pub(super) fn new(run_id: &RunId, status: Status, event: &Event) -> Self {
        Self { run_id: run_id.clone(), status, event: event.name() }
    }
}
