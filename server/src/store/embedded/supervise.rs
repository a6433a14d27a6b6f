//! Restarts Postgres when it dies.
//!
//! ```text
//! running --died--> pausing --(back-off)--> launched --accepts--> running
//!                      ^                        |
//!                      +---------died-----------+
//! ```

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::EmbeddedPostgres;
use super::error::EmbeddedError;
use super::postmaster::{Postmaster, Readiness};

/// Between two looks at Postgres. A dead one costs its clients this much more.
const LOOK: Duration = Duration::from_millis(250);
/// The pause before the first restart, and the longest one.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_LONGEST: Duration = Duration::from_secs(30);
/// A Postgres that lived this long starts the pauses over.
const STEADY: Duration = Duration::from_mins(1);

impl EmbeddedPostgres {
    /// Restarts Postgres whenever it dies, until `stop` or [`EmbeddedPostgres::stop`]. Returns
    /// within moments of either; Postgres keeps running until it is stopped. One call at a time.
    pub async fn supervise(&self, stop: CancellationToken) {
        tokio::select! {
            // A stop comes first: what it does to Postgres is no death.
            biased;
            () = self.stopping.cancelled() => {}
            () = stop.cancelled() => {}
            () = self.keep_running() => {}
        }
    }

    async fn keep_running(&self) {
        let mut pauses = Pauses::new();
        loop {
            let since = Instant::now();
            self.death().await;
            let pause = pauses.next(since.elapsed());
            tracing::warn!(
                embedded.dir = %self.data_dir().display(),
                embedded.pause_ms = pause.as_millis(),
                "Postgres died and will be restarted; its end is in postgres.log"
            );
            sleep(pause).await;
            match self.restart().await {
                Ok(Readiness::Accepts(_)) => tracing::info!("Postgres is running again"),
                Ok(Readiness::Died | Readiness::TimedOut) => {}
                Err(error) => {
                    tracing::error!(%error, "Postgres could not be restarted; trying again");
                }
            }
        }
    }

    async fn death(&self) {
        loop {
            let running = match &mut self.state.lock().await.postmaster {
                Some(postmaster) => postmaster.is_running(),
                None => false,
            };
            if !running {
                return;
            }
            sleep(LOOK).await;
        }
    }

    /// Cancel-safe: a launched Postgres is in the state before the first wait.
    async fn restart(&self) -> Result<Readiness, EmbeddedError> {
        let mut state = self.state.lock().await;
        // `stop` gives up the directory under this lock; no Postgres may start after that.
        if state.owner.is_none() {
            return Ok(Readiness::Died);
        }
        let postmaster = Postmaster::obtain(&self.launch)?;
        Ok(state.postmaster.insert(postmaster).accepting().await)
    }
}

/// The growing pauses between restarts.
struct Pauses {
    next: Duration,
}

impl Pauses {
    fn new() -> Self {
        Self { next: PAUSE_FIRST }
    }

    /// The pause after a Postgres that lived for `lived`: half of it is chance.
    fn next(&mut self, lived: Duration) -> Duration {
        if lived >= STEADY {
            self.next = PAUSE_FIRST;
        }
        let full = self.next;
        self.next = (full * 2).min(PAUSE_LONGEST);
        // A fresh RandomState is seeded by chance, which is all that is needed here.
        let permille = u32::try_from(RandomState::new().hash_one(()) % 1000).unwrap_or_default();
        full / 2 + full / 2 * permille / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_cap_and_start_over_after_a_steady_life() {
        let mut pauses = Pauses::new();
        let first = pauses.next(Duration::ZERO);
        assert!(first >= PAUSE_FIRST / 2 && first <= PAUSE_FIRST);
        let last = (0..20).map(|_| pauses.next(Duration::ZERO)).last().unwrap();
        assert!(last >= PAUSE_LONGEST / 2 && last <= PAUSE_LONGEST);
        assert!(pauses.next(STEADY) <= PAUSE_FIRST);
    }
}
