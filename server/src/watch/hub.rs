//! Tails the outbox once for all watches of a server.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::chain::chain;
use crate::domain::id::RunId;
use crate::store::events::{self, FeedPosition, READ_LIMIT};
use crate::store::{StoreError, listen};

/// How often the hub looks without being told: what a lost hint costs.
const POLL: Duration = Duration::from_secs(1);
/// How long it waits after the database failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Wakes the watches of runs that changed.
#[derive(Debug)]
pub struct Hub {
    pool: PgPool,
    wake: Notify,
    hinted: Notify,
    position: tokio::sync::Mutex<FeedPosition>,
    watches: Mutex<HashMap<RunId, watch::Sender<()>>>,
}

impl Hub {
    /// A hub that knows of every change that is committed from now on.
    pub async fn start(pool: PgPool) -> Result<Self, StoreError> {
        let position = events::feed_position(&mut *pool.acquire().await?).await?;
        Ok(Self {
            pool,
            wake: Notify::new(),
            hinted: Notify::new(),
            position: tokio::sync::Mutex::new(position),
            watches: Mutex::default(),
        })
    }

    /// A hint that something was committed.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Ends when another server, or this one, has told that something was committed.
    pub async fn hint(&self) {
        self.hinted.notified().await;
    }

    /// Reads on until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let pause = match self.tick().await {
                Ok(()) => POLL,
                Err(error) => {
                    warn!(error = chain(&error), "Changes cannot be read");
                    PAUSE
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.wake.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Reads all that was committed since the last time, and wakes the watches concerned.
    pub async fn tick(&self) -> Result<(), StoreError> {
        let mut position = self.position.lock().await;
        loop {
            let entries = events::feed_after(&mut *self.pool.acquire().await?, *position).await?;
            let Some(last) = entries.last() else { return Ok(()) };
            let read = i64::try_from(entries.len()).unwrap_or(i64::MAX);
            *position = last.position;
            self.wake_watches(entries.iter().filter_map(|entry| RunId::parse(&entry.job_id).ok()));
            if read < READ_LIMIT {
                return Ok(());
            }
        }
    }

    /// Passes the hints of other servers on until `stop`.
    pub async fn listen(&self, stop: CancellationToken) {
        let hints = async {
            loop {
                match self.listen_once().await {
                    Ok(never) => match never {},
                    Err(error) => {
                        warn!(error = chain(&error), "Cannot listen for hints");
                    }
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = hints => {}
        }
    }

    async fn listen_once(&self) -> Result<std::convert::Infallible, StoreError> {
        let mut listener = listen::listen(&self.pool).await?;
        loop {
            // `None` tells of a lost connection, whose hints are lost too.
            let _hint = listener.try_recv().await?;
            self.wake();
            self.hinted.notify_one();
        }
    }

    /// Hints about one run from now on. Subscribe before reading, or a change between the two would be
    /// lost.
    pub(super) fn subscribe(&self, run: &RunId) -> watch::Receiver<()> {
        let mut watches = self.watches();
        watches.retain(|_, sender| sender.receiver_count() > 0);
        watches.entry(run.clone()).or_insert_with(|| watch::Sender::new(())).subscribe()
    }

    pub(super) fn pool(&self) -> &PgPool {
        &self.pool
    }

    fn wake_watches(&self, changed: impl Iterator<Item = RunId>) {
        let watches = self.watches();
        for run in changed {
            if let Some(sender) = watches.get(&run) {
                sender.send_replace(());
            }
        }
    }

    fn watches(&self) -> MutexGuard<'_, HashMap<RunId, watch::Sender<()>>> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
