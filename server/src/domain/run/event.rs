//! What can happen to a run.

use std::time::Duration;

use super::{Counts, LocationResult, Status};
use crate::domain::id::RunId;

/// Something that happens to a run. Events of a worker carry its attempt, which fences it.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A worker takes it and begins an attempt.
    Leased {
        worker_id: String,
        /// How long it may be silent, unless the run's policy says otherwise.
        lease: Duration,
    },
    /// The worker got on, which extends its lease.
    Progressed {
        attempt: i32,
        /// What it has found since.
        found: Counts,
        /// Locations that ended since.
        results: Vec<LocationResult>,
    },
    /// The attempt went through all its locations.
    Done { attempt: i32 },
    /// The attempt broke off.
    AttemptFailed {
        attempt: i32,
        /// Why, as a sentence.
        reason: String,
        /// Whether another attempt would fail too.
        permanent: bool,
    },
    /// The worker stopped because of a cancellation.
    CancelNoticed { attempt: i32 },
    /// The worker stops and gives the attempt back.
    Released { attempt: i32 },
    /// The lease ran out.
    LeaseExpired,
    /// It should have ended by now, and no worker has it.
    DeadlinePassed,
    /// Somebody wants it cancelled.
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
            Self::DeadlinePassed => "given up",
            Self::CancelRequested => "cancelled",
        }
    }
}

/// An event that does not fit the run's state or attempt.
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
