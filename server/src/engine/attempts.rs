//! The attempts that this server executes, and the loop that keeps their leases.
//!
//! It extends the leases, notices cancellations, and stops an attempt whose lease is lost, also when
//! the database cannot be asked: what cannot be extended in time is given up before others take it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::wait;
use crate::app::{App, AppError, Fence};
use crate::chain::chain;

/// How often cancellations are looked for.
const CHECK: Duration = Duration::from_millis(500);

/// Why an attempt has to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopCause {
    /// Somebody cancelled the run.
    Cancelled,
    /// The lease is lost; somebody else may execute the run.
    LeaseLost,
    /// The server stops.
    ServerStops,
}

/// Tells one attempt to stop, and why.
#[derive(Clone, Debug, Default)]
pub struct AttemptStop {
    token: CancellationToken,
    cause: Arc<OnceLock<StopCause>>,
}

impl AttemptStop {
    /// Cancelled when the attempt has to stop.
    pub fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// Why it has to stop, if it has to.
    pub fn cause(&self) -> Option<StopCause> {
        self.cause.get().copied()
    }

    /// Stops the attempt. The first cause stands.
    pub fn stop(&self, cause: StopCause) {
        self.cause.get_or_init(|| cause);
        self.token.cancel();
    }
}

/// The attempts that this server executes.
pub struct Attempts {
    app: Arc<App>,
    lease: Duration,
    heartbeat: Duration,
    held: Mutex<BTreeMap<Fence, AttemptStop>>,
    extended_at: Mutex<Instant>,
}

impl Attempts {
    /// No attempts yet.
    pub fn new(app: Arc<App>, lease: Duration, heartbeat: Duration) -> Self {
        let extended_at = Mutex::new(Instant::now());
        Self { app, lease, heartbeat, held: Mutex::default(), extended_at }
    }

    /// Keeps the attempt's lease from now on.
    pub fn hold(&self, fence: Fence) -> AttemptStop {
        let stop = AttemptStop::default();
        let mut held = self.held();
        if held.is_empty() {
            *self.extended_at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        }
        held.insert(fence, stop.clone());
        stop
    }

    /// The attempt has ended.
    pub fn release(&self, fence: &Fence) {
        self.held().remove(fence);
    }

    /// Stops every attempt.
    pub fn stop_all(&self, cause: StopCause) {
        for stop in self.held().values() {
            stop.stop(cause);
        }
    }

    /// Keeps leases until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.tick().await {
                warn!(error = chain(&error), "Leases cannot be kept");
            }
            wait(&stop, &self.app.wakes().leases, CHECK.min(self.heartbeat)).await;
        }
    }

    /// Looks after every lease once.
    pub async fn tick(&self) -> Result<(), AppError> {
        let fences: Vec<Fence> = self.held().keys().cloned().collect();
        if fences.is_empty() {
            return Ok(());
        }
        let since = self.extended_at.lock().map_or(Duration::MAX, |at| at.elapsed());
        let checked = if since >= self.heartbeat {
            self.extend(&fences).await
        } else {
            self.app.check_leases(&fences).await
        };
        let pulses = match checked {
            Ok(pulses) => pulses,
            Err(error) => {
                if since >= self.lease {
                    self.stop_all(StopCause::LeaseLost);
                }
                return Err(error);
            }
        };
        let cancelled: BTreeMap<String, bool> =
            pulses.into_iter().map(|pulse| (pulse.run, pulse.cancel_requested)).collect();
        for fence in fences {
            match cancelled.get(fence.run.as_str()) {
                Some(false) => {}
                Some(true) => self.stop(&fence, StopCause::Cancelled),
                None => self.stop(&fence, StopCause::LeaseLost),
            }
        }
        Ok(())
    }

    async fn extend(&self, fences: &[Fence]) -> Result<Vec<crate::app::Pulse>, AppError> {
        // The lease counts from before the call.
        let before = Instant::now();
        // A database that does not answer must not keep the attempts going beyond their leases.
        let extended = self.app.extend_leases(fences, self.lease);
        let pulses = match tokio::time::timeout(self.heartbeat, extended).await {
            Ok(pulses) => pulses?,
            Err(_) => return Err(AppError::Store(crate::store::StoreError::TimedOut)),
        };
        *self.extended_at.lock().unwrap_or_else(PoisonError::into_inner) = before;
        Ok(pulses)
    }

    fn stop(&self, fence: &Fence, cause: StopCause) {
        if let Some(stop) = self.held().get(fence) {
            stop.stop(cause);
        }
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<Fence, AttemptStop>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
