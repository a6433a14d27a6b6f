//! Everything that runs in the background has a name, an owner and an end. The only room where tasks
//! are spawned.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error};

/// How long a loop that panicked rests before it starts anew.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// A group of tasks that is stopped together.
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

    /// Runs a loop until the stop, and anew when it panics.
    pub fn run<F, L>(&self, name: &'static str, start: L)
    where
        L: Fn(CancellationToken) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            while !stop.is_cancelled() {
                // State that a panic may have left behind is behind locks that forgive it.
                if AssertUnwindSafe(start(stop.clone())).catch_unwind().await.is_ok() {
                    break;
                }
                error!(task.name = name, "The {name} panicked and starts anew");
                tokio::time::sleep(RESTART_PAUSE).await;
            }
            debug!(task.name = name, "The {name} has stopped");
        });
    }

    /// Runs a piece of work to its end.
    #[expect(clippy::disallowed_methods, reason = "this is the supervisor")]
    pub fn work<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        tokio::spawn(self.tasks.track_future(work))
    }

    /// Tells everything to stop and waits for its end, at most so long; false when something went on.
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
    async fn a_loop_that_panics_starts_anew_and_still_stops() {
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
