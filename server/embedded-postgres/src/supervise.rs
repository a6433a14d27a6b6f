//! Restarts Postgres when it dies.
//!
//! ```text
//! running --dies--> waiting --(back-off)--> launched --accepts--> running
//!                      ^                        |
//!                      +----------dies----------+
//! ```

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::EmbeddedPostgres;
use crate::error::Error;
use crate::log;
use crate::postmaster::{Postmaster, Readiness};

/// Interval between checks of the process; a crash goes unnoticed for up to this long.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// First and longest delay before a restart. Jitter adds up to the same amount again.
const FIRST_DELAY: Duration = Duration::from_millis(50);
const MAX_DELAY: Duration = Duration::from_secs(15);
/// After an uptime of this long the delays start again with the first one.
const STABLE_UPTIME: Duration = Duration::from_mins(1);

impl EmbeddedPostgres {
    /// Restarts Postgres whenever it dies, until `stop` is cancelled or [`EmbeddedPostgres::stop`]
    /// is called. Returns promptly after either; Postgres itself keeps running until it is stopped.
    /// Call it once at a time.
    pub async fn supervise(&self, stop: CancellationToken) {
        tokio::select! {
            // `stop` ends Postgres; with `biased` that is never mistaken for a crash.
            biased;
            () = self.stopping.cancelled() => {}
            () = stop.cancelled() => {}
            () = self.keep_running() => {}
        }
    }

    async fn keep_running(&self) {
        let mut delays = RestartDelays::new();
        loop {
            let launched = Instant::now();
            self.wait_for_exit().await;
            let delay = delays.next(launched.elapsed());
            let path = self.launch.home.log();
            let cause = log::cause(&path);
            tracing::warn!(
                cause,
                "Postgres exited unexpectedly; restarting it (see {})",
                path.display()
            );
            sleep(delay).await;
            match self.restart().await {
                Ok(Readiness::Accepts(_)) => tracing::info!("Postgres accepts connections again"),
                Ok(Readiness::Died | Readiness::TimedOut) => {}
                Err(error) => tracing::error!(%error, "Failed to restart Postgres; retrying"),
            }
        }
    }

    async fn wait_for_exit(&self) {
        while self.is_running().await {
            log::limit(&self.launch.home).await;
            sleep(POLL_INTERVAL).await;
        }
    }

    async fn is_running(&self) -> bool {
        let mut state = self.state.lock().await;
        state.postmaster.as_mut().is_some_and(Postmaster::is_running)
    }

    /// Cancel-safe: a launched Postgres is stored in the state before the first wait.
    async fn restart(&self) -> Result<Readiness, Error> {
        let mut state = self.state.lock().await;
        // `stop` releases the directory under this lock; no Postgres may start after that.
        if state.owner.is_none() {
            return Ok(Readiness::Died);
        }
        let postmaster = Postmaster::obtain(&self.launch)?;
        Ok(state.postmaster.insert(postmaster).wait_until_ready().await)
    }
}

/// Growing delays between restarts.
struct RestartDelays {
    delays: ExponentialBackoff,
}

impl RestartDelays {
    fn new() -> Self {
        let delays = ExponentialBuilder::new()
            .with_min_delay(FIRST_DELAY)
            .with_max_delay(MAX_DELAY)
            .without_max_times()
            .with_jitter();
        Self { delays: delays.build() }
    }

    /// Delay before the restart of a Postgres that ran for `uptime`.
    fn next(&mut self, uptime: Duration) -> Duration {
        if uptime >= STABLE_UPTIME {
            *self = Self::new();
        }
        self.delays.next().unwrap_or(MAX_DELAY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_a_maximum_and_start_over_after_a_stable_uptime() {
        let mut delays = RestartDelays::new();
        let first = delays.next(Duration::ZERO);
        assert!(first >= FIRST_DELAY && first <= 2 * FIRST_DELAY, "{first:?}");
        let last = (0..20).map(|_| delays.next(Duration::ZERO)).last().unwrap();
        assert!(last >= MAX_DELAY && last <= 2 * MAX_DELAY, "{last:?}");
        assert!(delays.next(STABLE_UPTIME) <= 2 * FIRST_DELAY);
    }
}
