//! Background tasks: named loops that are restarted after a panic, and work that a shutdown waits for.
//!
//! Every task is spawned here, so that each has an owner who stops it and waits for its end.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error};

/// Pause before a loop that panicked is restarted.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// A group of tasks that are stopped together.
#[derive(Clone, Debug, Default)]
pub struct Supervisor {
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Supervisor {
    /// Cancelled when the group has to stop.
    pub fn stopping(&self) -> &CancellationToken {
        &self.stop
    }

    /// Runs a loop until the stop. A loop that panics is restarted.
    pub fn run<F, L>(&self, name: &'static str, start: L)
    where
        L: Fn(CancellationToken) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            while !stop.is_cancelled() {
                // Unwinding is safe: shared state is behind locks that ignore poisoning.
                if AssertUnwindSafe(start(stop.clone())).catch_unwind().await.is_ok() {
                    break;
                }
                error!(task.name = name, "{name} panicked; restarting");
                tokio::time::sleep(RESTART_PAUSE).await;
            }
            debug!(task.name = name, "{name} stopped");
        });
    }

    /// Runs a future to completion. [`Self::stop_within`] waits for it.
    #[expect(clippy::disallowed_methods, reason = "this is the supervisor")]
    pub fn work<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        tokio::spawn(self.tasks.track_future(work))
    }

    /// Requests the stop and waits for all tasks to end. Returns false if some are still running at the limit.
    pub async fn stop_within(&self, limit: Duration) -> bool {
        self.stop.cancel();
        self.tasks.close();
        tokio::time::timeout(limit, self.tasks.wait()).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_panics_is_restarted_and_can_still_be_stopped() {
        let supervisor = Supervisor::default();
        let starts = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&starts);
        supervisor.run("fragile", move |stop| {
            let start = counted.fetch_add(1, Ordering::Relaxed);
            async move {
                assert!(start > 0, "the first start fails");
                stop.cancelled().await;
            }
        });
        tokio::time::sleep(RESTART_PAUSE * 2).await;
        assert_eq!(starts.load(Ordering::Relaxed), 2);
        assert!(supervisor.stop_within(Duration::from_secs(1)).await);
    }
}
