//! The attempts that a worker holds.
//!
//! What cannot be kept is given up before others take it: an attempt whose lease is over by the
//! worker's own clock stops, also when nobody can be asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::link::{AttemptId, HeartbeatItem, LeaseStatus, LeasedRun};

/// Attempts that were given up are remembered for longer than any lease.
const REMEMBERED: Duration = Duration::from_mins(15);

/// Why an attempt has to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopCause {
    /// Somebody cancelled the run.
    Cancelled,
    /// The lease is lost; somebody else may execute the run.
    LeaseLost,
    /// The attempt took too long.
    TimedOut,
    /// The worker stops.
    WorkerStops,
}

/// Tells one attempt to stop, and why.
#[derive(Clone, Debug, Default)]
pub(crate) struct AttemptStop {
    token: CancellationToken,
    cause: Arc<OnceLock<StopCause>>,
}

impl AttemptStop {
    /// Cancelled when the attempt has to stop.
    pub(crate) fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// Why it has to stop, if it has to.
    pub(crate) fn cause(&self) -> Option<StopCause> {
        self.cause.get().copied()
    }

    /// Stops the attempt. The first cause stands.
    pub(crate) fn stop(&self, cause: StopCause) {
        self.cause.get_or_init(|| cause);
        self.token.cancel();
    }
}

#[derive(Debug)]
struct HeldAttempt {
    stop: AttemptStop,
    cancel_acknowledged: bool,
    is_lost: bool,
    expires_at: Instant,
    attempt_expires_at: Instant,
}

/// The attempts that a worker holds.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    held: Mutex<BTreeMap<AttemptId, HeldAttempt>>,
    /// Ended here, but not finished: not to be taken up again.
    given_up: Mutex<BTreeMap<AttemptId, Instant>>,
    /// There is one more.
    taken: Notify,
}

impl Attempts {
    /// Holds an attempt that was leased by a call that began at `asked_at`.
    pub(crate) fn hold(&self, assignment: &LeasedRun, asked_at: Instant) -> AttemptStop {
        let stop = AttemptStop::default();
        let held = HeldAttempt {
            stop: stop.clone(),
            cancel_acknowledged: false,
            is_lost: false,
            expires_at: asked_at + assignment.expires_in,
            attempt_expires_at: asked_at + assignment.attempt_expires_in,
        };
        lock(&self.held).insert(assignment.id.clone(), held);
        self.taken.notify_one();
        stop
    }

    /// The attempt has ended here; `finished` if Windrow knows.
    pub(crate) fn release(&self, id: &AttemptId, finished: bool) {
        lock(&self.held).remove(id);
        if !finished {
            lock(&self.given_up).insert(id.clone(), Instant::now() + REMEMBERED);
        }
    }

    /// What a heartbeat says of those in work, as far as they have their lease.
    pub(crate) fn items(&self) -> Vec<HeartbeatItem> {
        let held = lock(&self.held);
        let with_lease = held.iter().filter(|(_, held)| !held.is_lost);
        let beat = |(id, held): (&AttemptId, &HeldAttempt)| HeartbeatItem {
            id: id.clone(),
            cancel_acknowledged: held.cancel_acknowledged,
        };
        with_lease.map(beat).collect()
    }

    /// Ends when an attempt was taken since the last time.
    pub(crate) async fn taken(&self) {
        self.taken.notified().await;
    }

    /// Those in work, and those that were given up.
    pub(crate) fn known(&self) -> Vec<AttemptId> {
        let mut given_up = lock(&self.given_up);
        given_up.retain(|_, until| *until > Instant::now());
        lock(&self.held).keys().chain(given_up.keys()).cloned().collect()
    }

    /// Stops every attempt.
    pub(crate) fn stop_all(&self, cause: StopCause) {
        for held in lock(&self.held).values() {
            held.stop.stop(cause);
        }
    }

    /// What a heartbeat for `asked`, sent at `asked_at`, has told.
    pub(crate) fn told(
        &self,
        asked: &[HeartbeatItem],
        asked_at: Instant,
        statuses: &[(AttemptId, LeaseStatus)],
    ) {
        let mut held = lock(&self.held);
        for HeartbeatItem { id, .. } in asked {
            let Some(attempt) = held.get_mut(id) else { continue };
            if let Some((_, lease_status)) = statuses.iter().find(|(alive, _)| alive == id) {
                attempt.expires_at = asked_at + lease_status.expires_in;
                if lease_status.cancel_requested {
                    attempt.cancel_acknowledged = true;
                    attempt.stop.stop(StopCause::Cancelled);
                }
            } else {
                attempt.is_lost = true;
                attempt.stop.stop(StopCause::LeaseLost);
            }
        }
    }

    /// Stops what is over by this clock.
    pub(crate) fn stop_expired(&self) {
        let now = Instant::now();
        for held in lock(&self.held).values() {
            if held.attempt_expires_at <= now {
                held.stop.stop(StopCause::TimedOut);
            } else if held.expires_at <= now {
                held.stop.stop(StopCause::LeaseLost);
            }
        }
    }
}

fn lock<T>(it: &Mutex<T>) -> MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
}
