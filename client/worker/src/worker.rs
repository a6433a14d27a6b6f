//! A worker: leases runs while it has room, executes them, and keeps their leases.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::attempts::{Attempts, StopCause};
use crate::executor::Executor;
use crate::link::{TransportError, WorkerTransport};
use crate::source::Source;

/// How long it waits after a call failed.
const FAILED_PAUSE: Duration = Duration::from_secs(1);
/// How often the worker's own clock is looked at.
const CLOCK: Duration = Duration::from_millis(250);
/// Between two heartbeats, whatever they are answered.
const BEAT_GAP: Duration = Duration::from_millis(20);
/// How long interrupted work may take to be given back.
const RELEASE: Duration = Duration::from_secs(10);

/// A worker with room for some runs at once.
pub struct Worker {
    link: Arc<dyn WorkerTransport>,
    executor: Arc<Executor>,
    attempts: Arc<Attempts>,
    executions: TaskTracker,
    room: usize,
    busy: Arc<Busy>,
}

#[derive(Debug, Default)]
struct Busy {
    count: AtomicUsize,
    freed: Notify,
}

impl Worker {
    /// A worker that executes at most `room` runs at once with these sources.
    pub fn new(
        link: Arc<dyn WorkerTransport>,
        sources: BTreeMap<String, Arc<dyn Source>>,
        room: usize,
    ) -> Self {
        let attempts = Arc::new(Attempts::default());
        let executor =
            Executor { link: Arc::clone(&link), sources, attempts: Arc::clone(&attempts) };
        let (executions, busy) = (TaskTracker::new(), Arc::default());
        Self { link, executor: Arc::new(executor), attempts, executions, room, busy }
    }

    /// Leases and starts runs until `stop`. An error that will not go away ends it.
    pub async fn run(&self, stop: CancellationToken) -> Result<(), TransportError> {
        while !stop.is_cancelled() {
            let room = self.room.saturating_sub(self.busy.count.load(Ordering::Acquire));
            if room == 0 {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = self.busy.freed.notified() => {}
                }
                continue;
            }
            let asked_at = Instant::now();
            // Not dropped at a stop: what it leases would be nobody's until the lease expires.
            match self.link.lease(room, self.attempts.known()).await {
                Ok(leased) => {
                    for assignment in leased {
                        let slot = Slot::take(&self.busy);
                        let executor = Arc::clone(&self.executor);
                        // Before the next call, which says what is held.
                        let stop = self.attempts.hold(&assignment, asked_at);
                        let _execution = self.executions.spawn(async move {
                            executor.execute(assignment, stop).await;
                            drop(slot);
                        });
                    }
                }
                Err(error @ (TransportError::Transient(_) | TransportError::LeaseLost)) => {
                    warn!(%error, "Runs cannot be leased");
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = sleep(FAILED_PAUSE) => {}
                    }
                }
                Err(error @ TransportError::Refused(_)) => return Err(error),
            }
        }
        Ok(())
    }

    /// Keeps leases until `stop`. To be stopped after the work.
    pub async fn keep(&self, stop: CancellationToken) {
        let watch_clock = async {
            loop {
                self.attempts.stop_expired();
                sleep(CLOCK).await;
            }
        };
        let beat = async {
            loop {
                self.beat().await;
                sleep(BEAT_GAP).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = watch_clock => {}
            () = beat => {}
        }
    }

    /// Waits for the work in progress. What is not done within `grace` is given back; false when that
    /// did not work.
    pub async fn drain(&self, grace: Duration) -> bool {
        self.executions.close();
        if timeout(grace, self.executions.wait()).await.is_ok() {
            return true;
        }
        info!("What is not done goes back to pending");
        self.attempts.stop_all(StopCause::WorkerStops);
        timeout(RELEASE, self.executions.wait()).await.is_ok()
    }

    /// One heartbeat, which the other side answers when there is something to tell, or after the
    /// interval.
    async fn beat(&self) {
        let held = self.attempts.items();
        if held.is_empty() {
            return self.attempts.taken().await;
        }
        let (asked_at, interval) = (Instant::now(), self.link.heartbeat_interval());
        match self.link.heartbeat(held.clone(), interval).await {
            Ok(statuses) => self.attempts.told(&held, asked_at, &statuses),
            Err(error) => {
                warn!(%error, "Leases cannot be kept");
                sleep(interval).await;
            }
        }
    }
}

/// Room for one execution, given back when dropped, also by a panic.
struct Slot(Arc<Busy>);

impl Slot {
    fn take(busy: &Arc<Busy>) -> Self {
        busy.count.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(busy))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::AcqRel);
        self.0.freed.notify_one();
    }
}
