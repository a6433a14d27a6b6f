//! A worker: leases runs while it has capacity, executes them, and keeps their leases.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info};

use crate::attempt::LeasedRun;
use crate::backoff::Backoff;
use crate::error_chain::error_chain;
use crate::executor::Executor;
use crate::held::{HeldAttempts, StopCause};
use crate::outage::Outage;
use crate::source::Source;
use crate::transport::{TransportError, WorkerTransport};

const FIRST_RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Interval of the check for expired leases by the worker's own clock.
const EXPIRY_CHECK: Duration = Duration::from_millis(250);
/// Minimum pause between two heartbeats, for responses that come at once.
const HEARTBEAT_GAP: Duration = Duration::from_millis(20);
/// Limit of the call that says that the worker stops.
const SIGN_OFF_TIMEOUT: Duration = Duration::from_secs(2);
/// Time to return interrupted runs when the worker shuts down.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(10);

/// Leases and executes runs through a [`WorkerTransport`].
pub struct Worker {
    transport: Arc<dyn WorkerTransport>,
    executor: Arc<Executor>,
    held: Arc<HeldAttempts>,
    executions: TaskTracker,
    slots: Arc<Semaphore>,
}

impl Worker {
    /// A worker that executes at most `capacity` runs at once with these sources.
    pub fn new(
        transport: Arc<dyn WorkerTransport>,
        sources: BTreeMap<String, Arc<dyn Source>>,
        capacity: usize,
    ) -> Self {
        let held = Arc::new(HeldAttempts::default());
        let executor =
            Executor { transport: Arc::clone(&transport), sources, held: Arc::clone(&held) };
        let slots = Arc::new(Semaphore::new(capacity.min(Semaphore::MAX_PERMITS)));
        Self {
            transport,
            executor: Arc::new(executor),
            held,
            executions: TaskTracker::new(),
            slots,
        }
    }

    /// Leases and starts runs until `stop`. Retries forever, except when the server rejects the worker.
    pub async fn run(&self, stop: CancellationToken) -> Result<(), TransportError> {
        let mut backoff = Backoff::new(FIRST_RETRY_PAUSE);
        let mut outage = Outage::new("lease runs");
        while let Some(slot) = self.free_slot(&stop).await {
            let (called_at, capacity) = (Instant::now(), self.slots.available_permits() + 1);
            match self.lease(capacity, &stop).await {
                Ok(runs) => {
                    outage.succeeded();
                    backoff = Backoff::new(FIRST_RETRY_PAUSE);
                    self.start(runs, slot, called_at);
                }
                Err(
                    error @ (TransportError::Transient(_)
                    | TransportError::NoDatabase(_)
                    | TransportError::LeaseLost),
                ) => {
                    outage.failed(&error);
                    stop.run_until_cancelled(backoff.pause()).await;
                }
                Err(error @ TransportError::Rejected(_)) => return Err(error),
            }
        }
        self.sign_off().await;
        Ok(())
    }

    /// Leases runs. Runs to its end even after a stop: a dropped call could lease runs that nobody executes.
    async fn lease(
        &self,
        capacity: usize,
        stop: &CancellationToken,
    ) -> Result<Vec<LeasedRun>, TransportError> {
        let mut leasing = self.transport.lease(capacity, self.held.ids());
        tokio::select! {
            leased = &mut leasing => leased,
            () = stop.cancelled() => {
                // The server then answers the call at once.
                self.sign_off().await;
                leasing.await
            }
        }
    }

    /// Runs that wait for a worker must not wait for this one. Without an answer, the server forgets it in a minute.
    async fn sign_off(&self) {
        let signed_off = timeout(SIGN_OFF_TIMEOUT, self.transport.sign_off()).await;
        if let Ok(Err(error)) = signed_off {
            debug!(error = error_chain(&error), "Failed to sign off");
        }
    }

    /// Sends heartbeats until `stop`. Stop it after [`Self::drain`], or runs in progress lose their leases.
    pub async fn keep_leases(&self, stop: CancellationToken) {
        let expire = async {
            loop {
                self.held.stop_expired();
                sleep(EXPIRY_CHECK).await;
            }
        };
        let heartbeats = async {
            let mut outage = Outage::new("send a heartbeat");
            loop {
                self.send_heartbeat(&mut outage).await;
                sleep(HEARTBEAT_GAP).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = expire => {}
            () = heartbeats => {}
        }
    }

    /// Waits for runs in progress. Those that take longer than `grace` are interrupted and returned to
    /// pending; false if that failed, too. Call it after [`Self::run`] has ended.
    pub async fn drain(&self, grace: Duration) -> bool {
        self.executions.close();
        if timeout(grace, self.executions.wait()).await.is_ok() {
            return true;
        }
        info!("Runs in progress return to pending: the worker is shutting down");
        self.held.stop_all(StopCause::ShuttingDown);
        timeout(RELEASE_TIMEOUT, self.executions.wait()).await.is_ok()
    }

    /// Waits for a free slot; `None` after the stop.
    async fn free_slot(&self, stop: &CancellationToken) -> Option<OwnedSemaphorePermit> {
        tokio::select! {
            biased;
            () = stop.cancelled() => None,
            slot = Arc::clone(&self.slots).acquire_owned() => slot.ok(),
        }
    }

    /// Starts runs in the background; `slot` is that of the first. A run that is delivered again may exceed
    /// the capacity.
    fn start(&self, runs: Vec<LeasedRun>, slot: OwnedSemaphorePermit, called_at: Instant) {
        let mut first = Some(slot);
        for run in runs {
            let slot = first.take().or_else(|| Arc::clone(&self.slots).try_acquire_owned().ok());
            let executor = Arc::clone(&self.executor);
            // Held before the next lease call, which lists the held attempts.
            let stop = self.held.add(&run, called_at);
            let _execution = self.executions.spawn(async move {
                executor.execute(run, stop, slot).await;
            });
        }
    }

    /// Sends one heartbeat. The server responds when there is news, or after the interval.
    async fn send_heartbeat(&self, outage: &mut Outage) {
        let items = self.held.heartbeat_items();
        if items.is_empty() {
            return self.held.added().await;
        }
        let (called_at, interval) = (Instant::now(), self.transport.heartbeat_interval());
        let sent = self.transport.heartbeat(items.clone(), interval).await;
        if let Err(TransportError::NoDatabase(_)) = &sent {
            self.held.postpone_expiry(&items, called_at);
        }
        match outage.record(sent) {
            Some(statuses) => self.held.apply_heartbeat(&items, called_at, &statuses),
            None => sleep(interval).await,
        }
    }
}
