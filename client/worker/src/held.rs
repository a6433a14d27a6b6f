//! The attempts that a worker holds, and their stop signals.
//!
//! An attempt stops when its lease has expired by the worker's own clock, even if the server cannot be
//! reached: another worker may execute the run from then on. Time in which a server says that its database does
//! not respond does not count: nobody can lease the run meanwhile.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::attempt::{AttemptId, AttemptUpdate, HeartbeatItem, LeaseStatus, LeasedRun};

/// Longer than any lease.
const REMEMBER_ABANDONED: Duration = Duration::from_mins(15);

/// The reason why an attempt has to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopCause {
    CancelRequested,
    LeaseLost,
    TimedOut,
    ShuttingDown,
}

/// Stops one attempt, once.
#[derive(Clone, Debug, Default)]
pub(crate) struct StopSignal {
    token: CancellationToken,
    cause: Arc<OnceLock<StopCause>>,
}

impl StopSignal {
    /// Cancelled when the attempt has to stop.
    pub(crate) fn token(&self) -> &CancellationToken {
        &self.token
    }

    pub(crate) fn cause(&self) -> Option<StopCause> {
        self.cause.get().copied()
    }

    /// Stops the attempt. The first cause counts.
    pub(crate) fn stop(&self, cause: StopCause) {
        self.cause.get_or_init(|| cause);
        self.token.cancel();
    }
}

#[derive(Debug)]
struct HeldAttempt {
    stop: StopSignal,
    cancel_acknowledged: bool,
    lease_lost: bool,
    expires_at: Instant,
    /// Time that the last heartbeat, or the lease itself, added.
    length: Duration,
    attempt_expires_at: Instant,
}

#[derive(Debug, Default)]
pub(crate) struct HeldAttempts {
    held: Mutex<BTreeMap<AttemptId, HeldAttempt>>,
    /// Attempts that ended here without the server's knowledge. The server must not deliver them again.
    abandoned: Mutex<BTreeMap<AttemptId, Instant>>,
    added: Notify,
}

impl HeldAttempts {
    /// Holds an attempt that was leased by a call that began at `called_at`.
    pub(crate) fn add(&self, run: &LeasedRun, called_at: Instant) -> StopSignal {
        let stop = StopSignal::default();
        let held = HeldAttempt {
            stop: stop.clone(),
            cancel_acknowledged: false,
            lease_lost: false,
            expires_at: called_at + run.expires_in,
            length: run.expires_in,
            attempt_expires_at: called_at + run.attempt_expires_in,
        };
        lock(&self.held).insert(run.id.clone(), held);
        self.added.notify_one();
        stop
    }

    /// Removes an attempt whose end the server knows.
    pub(crate) fn remove_finished(&self, id: &AttemptId) {
        lock(&self.held).remove(id);
    }

    /// Removes an attempt whose end could not be reported.
    pub(crate) fn remove_abandoned(&self, id: &AttemptId) {
        lock(&self.abandoned).insert(id.clone(), Instant::now() + REMEMBER_ABANDONED);
        lock(&self.held).remove(id);
    }

    /// The heartbeat items of all attempts whose lease is not lost.
    pub(crate) fn heartbeat_items(&self) -> Vec<HeartbeatItem> {
        let held = lock(&self.held);
        let with_lease = held.iter().filter(|(_, held)| !held.lease_lost);
        let item = |(id, held): (&AttemptId, &HeldAttempt)| HeartbeatItem {
            id: id.clone(),
            cancel_acknowledged: held.cancel_acknowledged,
            update: AttemptUpdate::default(),
        };
        with_lease.map(item).collect()
    }

    /// Completes when an attempt was added since the last call.
    pub(crate) async fn added(&self) {
        self.added.notified().await;
    }

    /// The attempts that are held or were abandoned.
    pub(crate) fn ids(&self) -> Vec<AttemptId> {
        let mut abandoned = lock(&self.abandoned);
        abandoned.retain(|_, until| *until > Instant::now());
        lock(&self.held).keys().chain(abandoned.keys()).cloned().collect()
    }

    pub(crate) fn stop_all(&self, cause: StopCause) {
        for held in lock(&self.held).values() {
            held.stop.stop(cause);
        }
    }

    /// Applies the response to a heartbeat that was sent at `called_at` for `items`.
    pub(crate) fn apply_heartbeat(
        &self,
        items: &[HeartbeatItem],
        called_at: Instant,
        statuses: &BTreeMap<AttemptId, LeaseStatus>,
    ) {
        let mut held = lock(&self.held);
        for HeartbeatItem { id, .. } in items {
            let Some(attempt) = held.get_mut(id) else { continue };
            let Some(status) = statuses.get(id) else {
                attempt.lease_lost = true;
                attempt.stop.stop(StopCause::LeaseLost);
                continue;
            };
            attempt.expires_at = called_at + status.expires_in;
            attempt.length = status.expires_in;
            if status.cancel_requested {
                attempt.cancel_acknowledged = true;
                attempt.stop.stop(StopCause::CancelRequested);
            }
        }
    }

    /// Keeps attempts for another lease: a heartbeat for `items` at `called_at` found the server without its
    /// database.
    pub(crate) fn postpone_expiry(&self, items: &[HeartbeatItem], called_at: Instant) {
        let mut held = lock(&self.held);
        for HeartbeatItem { id, .. } in items {
            if let Some(attempt) = held.get_mut(id) {
                attempt.expires_at = attempt.expires_at.max(called_at + attempt.length);
            }
        }
    }

    /// Stops attempts that have timed out or whose lease has expired by this clock.
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
