//! Adapts the pool to the number of connections that the database allows.
//!
//! sqlx's pool opens connections up to its maximum. If the database refuses one, it retries until the caller
//! times out, although other connections become free meanwhile. Here a call that waits opens a connection beside
//! the pool: if the database refuses it, those that are open have to do, and calls take turns to use them. From
//! time to time one more is tried.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{Connection as _, PgPool, Postgres};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use super::{ACQUIRE_TIMEOUT, StoreError, connect};
use crate::store::Trouble;

/// A call that waits for this long looks for the cause.
const PATIENCE: Duration = Duration::from_millis(500);
/// Minimum time between two trials, and limit of one.
const TRIAL_INTERVAL: Duration = Duration::from_secs(1);
const TRIAL_TIMEOUT: Duration = Duration::from_secs(2);
/// Time after a refusal until one more connection is tried.
const GROWTH_INTERVAL: Duration = Duration::from_secs(30);
/// A connection returns to the pool some time after its transaction has ended, without a signal.
const RETURN_POLL: Duration = Duration::from_millis(1);

pub(super) struct Capacity {
    /// Configured maximum.
    wanted: u32,
    /// Current maximum.
    limit: AtomicU32,
    in_use: Arc<AtomicU32>,
    acquired: AtomicU64,
    /// Calls take turns while the limit is lowered.
    turn: Mutex<()>,
    trial: Mutex<Trials>,
    /// Cause of the last failed trial.
    trouble: StdMutex<Option<Trouble>>,
}

#[derive(Default)]
struct Trials {
    last: Option<Instant>,
    refused: Option<Instant>,
}

enum Trial {
    Opened,
    /// The database works and allows no more connections.
    Refused(Trouble),
    Failed(Trouble),
}

impl Capacity {
    pub(super) fn new(wanted: u32) -> Self {
        Self {
            wanted,
            limit: AtomicU32::new(wanted),
            in_use: Arc::default(),
            acquired: AtomicU64::new(0),
            turn: Mutex::default(),
            trial: Mutex::default(),
            trouble: StdMutex::default(),
        }
    }

    pub(super) fn limit(&self) -> u32 {
        self.limit.load(Ordering::Relaxed)
    }

    /// Connections that calls are using. The pool counts them down.
    pub(super) fn in_use(&self) -> Arc<AtomicU32> {
        Arc::clone(&self.in_use)
    }

    pub(super) async fn acquire(
        &self,
        pool: &PgPool,
    ) -> Result<PoolConnection<Postgres>, sqlx::Error> {
        loop {
            let _turn = if self.limit() < self.wanted {
                let turn = self.turn.lock().await;
                self.wait_for_room(pool).await;
                Some(turn)
            } else {
                None
            };
            tokio::select! {
                biased;
                acquired = pool.acquire() => {
                    if acquired.is_ok() {
                        self.in_use.fetch_add(1, Ordering::Relaxed);
                        self.acquired.fetch_add(1, Ordering::Relaxed);
                    }
                    return acquired;
                }
                () = self.lowered(pool) => {}
            }
        }
    }

    /// The error of a call that got no connection in time.
    pub(super) fn exhausted(&self) -> StoreError {
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let all = || Trouble::all_in_use(format!("all {} connections are in use", self.limit()));
        StoreError::NoConnection { waited: ACQUIRE_TIMEOUT, trouble: trouble.unwrap_or_else(all) }
    }

    /// Waits until a connection is idle or another one may be opened.
    async fn wait_for_room(&self, pool: &PgPool) {
        while pool.num_idle() == 0 && pool.size() >= self.limit() {
            if self.has_grown(pool).await {
                return;
            }
            sleep(RETURN_POLL).await;
        }
    }

    async fn has_grown(&self, pool: &PgPool) -> bool {
        let mut trials = self.trial.lock().await;
        if trials.refused.is_some_and(|at| at.elapsed() < GROWTH_INTERVAL) {
            return false;
        }
        match self.try_one(pool, &mut trials).await {
            Trial::Opened => {
                if self.limit.fetch_add(1, Ordering::Relaxed) + 1 == self.wanted {
                    info!("The pool may open all {} database connections again", self.wanted);
                }
                true
            }
            // The next trial is after the interval, also after another failure.
            Trial::Refused(_) | Trial::Failed(_) => {
                trials.refused = Some(Instant::now());
                false
            }
        }
    }

    /// Returns when the limit was lowered during this call.
    async fn lowered(&self, pool: &PgPool) {
        let before = self.limit();
        loop {
            sleep(PATIENCE).await;
            if self.limit() < before {
                return;
            }
            let Ok(mut trials) = self.trial.try_lock() else { continue };
            if trials.last.is_some_and(|at| at.elapsed() < TRIAL_INTERVAL) {
                continue;
            }
            if let Trial::Refused(reason) = self.try_one(pool, &mut trials).await {
                trials.refused = Some(Instant::now());
                if self.lower(pool, &reason) {
                    return;
                }
            }
        }
    }

    /// Limits the pool to its open connections.
    fn lower(&self, pool: &PgPool, reason: &Trouble) -> bool {
        let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
        let open = self.in_use.load(Ordering::Relaxed).saturating_add(idle).max(1);
        let before = self.limit.fetch_min(open, Ordering::Relaxed);
        if before == self.wanted && open < before {
            warn!(
                "The database allows only {open} of the {before} connections of --max-connections: {reason}; \
                 continuing with {open}"
            );
        }
        open < before
    }

    /// Opens a connection beside the pool and closes it.
    async fn try_one(&self, pool: &PgPool, trials: &mut Trials) -> Trial {
        trials.last = Some(Instant::now());
        let acquired = self.acquired.load(Ordering::Relaxed);
        let options = pool.connect_options();
        let trial = match timeout(TRIAL_TIMEOUT, connect::session(&options)).await {
            Ok(Ok(connection)) => {
                drop(timeout(TRIAL_TIMEOUT, connection.close()).await);
                Trial::Opened
            }
            Ok(Err(error)) if connect::is_refused(&error) => Trial::Refused((&error).into()),
            Ok(Err(error)) => Trial::Failed((&error).into()),
            // A pooler lets further connections wait instead.
            Err(_) if self.acquired.load(Ordering::Relaxed) > acquired => {
                Trial::Refused(Trouble::all_in_use("a further connection has to wait"))
            }
            Err(_) => Trial::Failed(Trouble::silent()),
        };
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = match &trial {
            Trial::Opened => None,
            Trial::Refused(reason) | Trial::Failed(reason) => Some(reason.clone()),
        };
        trial
    }
}
