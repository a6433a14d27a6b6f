//! Heartbeats: write the news of attempts, extend their leases, and report cancellations and lost leases
//! without delay.
//!
//! **Invariant:** a heartbeat waits for no lock, so that a run that another transaction has locked does not cost
//! the other runs of its worker their leases.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::future::try_join_all;
use sqlx::PgConnection;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use windrow_worker::{AttemptId, HeartbeatItem, LeaseStatus};

use super::{Holder, SEEN_EVERY};
use crate::app::group_commit::{GroupCall, Locked, Results};
use crate::app::signals::Work;
use crate::app::{App, AppError};
use crate::store::leases::{self, LeaseKey, LiveAttempt};
use crate::store::{StoreError, workers};

/// Minimum interval between two queries of a waiting heartbeat, for bursts of notifications.
const QUERY_GAP: Duration = Duration::from_millis(20);
/// A heartbeat does not wait longer for the news of a run that another transaction has locked.
const UPDATE_TIMEOUT: Duration = Duration::from_secs(1);
/// Nothing that a check needs can be locked, so the database does not respond if it takes this long.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

impl App {
    /// Handles the heartbeat of a worker for all its attempts: writes their news, extends leases of which
    /// less than two thirds are left, and returns the leases that are still held. Waits up to `wait` while
    /// nothing has changed for the worker.
    pub async fn heartbeat(
        &self,
        worker_id: &str,
        items: Vec<HeartbeatItem>,
        wait: Duration,
    ) -> Result<BTreeMap<AttemptId, LeaseStatus>, AppError> {
        let (now, until) = (self.now(), Instant::now() + wait);
        let acknowledged: Vec<(AttemptId, bool)> =
            items.iter().map(|item| (item.id.clone(), item.cancel_acknowledged)).collect();
        let pending = self.write_updates(worker_id, items).await?;
        let attempts = acknowledged.iter().map(|(id, _)| id.clone()).collect();
        let call = LeaseCheck { worker_id: worker_id.to_owned(), attempts, now };
        // Register for wake-ups before querying, or a notification in between would be lost.
        let mut woken = Box::pin(self.signals.leases_changed.notified());
        woken.as_mut().enable();
        let mut leases = self.check_leases(&call).await?;
        while !leases.is_extended && !is_news(&leases.live, &acknowledged) && Instant::now() < until
        {
            let next_query = until.min(Instant::now() + QUERY_GAP);
            let _woken_or_not = timeout_at(until, woken.as_mut()).await;
            sleep_until(next_query).await;
            woken.set(self.signals.leases_changed.notified());
            woken.as_mut().enable();
            match self.check_leases(&call).await {
                Ok(checked) => leases = checked,
                // The burst of a notification to very many workers. The next one is no worse.
                Err(AppError::Overloaded) => {}
                Err(error) => return Err(error),
            }
        }
        let status = |live: &LiveAttempt| {
            let id = id_of(live);
            let update_pending = pending.contains(&id);
            (id, lease_status(live, update_pending, now))
        };
        Ok(leases.live.iter().map(status).collect())
    }

    async fn check_leases(&self, call: &LeaseCheck) -> Result<Leases, AppError> {
        let checked = timeout(CHECK_TIMEOUT, self.lease_checks.call(call.clone())).await;
        checked.unwrap_or(Err(AppError::Store(StoreError::TimedOut)))
    }

    /// Writes the news of attempts; returns those whose run is locked for longer.
    async fn write_updates(
        &self,
        worker_id: &str,
        items: Vec<HeartbeatItem>,
    ) -> Result<BTreeSet<AttemptId>, AppError> {
        let items = items.into_iter().filter(|item| !item.update.is_empty());
        let write = async |HeartbeatItem { id, update, .. }| {
            let holder = Holder { worker_id: Some(worker_id.to_owned()), attempt: id };
            match timeout(UPDATE_TIMEOUT, self.progress(&holder, update)).await {
                // The response reports the lost lease.
                Ok(Ok(()) | Err(AppError::LeaseLost { .. } | AppError::RunNotFound(_))) => Ok(None),
                Ok(Err(error)) => Err(error),
                Err(_elapsed) => Ok(Some(holder.attempt)),
            }
        };
        Ok(try_join_all(items.map(write)).await?.into_iter().flatten().collect())
    }
}

/// Reads the leases of a worker's attempts, and extends those that are due for it.
#[derive(Clone, Debug)]
pub(in crate::app) struct LeaseCheck {
    worker_id: String,
    attempts: Vec<AttemptId>,
    now: DateTime<Utc>,
}

/// The leases that are still held.
#[derive(Clone, Debug)]
pub(in crate::app) struct Leases {
    live: Vec<LiveAttempt>,
    is_extended: bool,
    /// The worker was recorded as seen.
    is_worker_seen: bool,
}

impl GroupCall for LeaseCheck {
    type Output = Leases;

    async fn execute(
        conn: &mut PgConnection,
        calls: &[&Self],
        _locked: Locked,
    ) -> Result<Results<Leases>, AppError> {
        let now = calls.iter().map(|call| call.now).max().unwrap_or_default();
        let keys: Vec<LeaseKey<'_>> = calls.iter().flat_map(|call| call.keys()).collect();
        let live = leases::leases_live(conn, &keys).await?;
        let due = live.iter().filter(|live| is_extension_due(live, now));
        let due: Vec<LeaseKey<'_>> = due.map(LiveAttempt::key).collect();
        let mut extended = Vec::new();
        if !due.is_empty() {
            extended = leases::leases_extend(conn, &due, now).await?;
        }
        let (live, extended) = (by_key(&live), by_key(&extended));
        let worker_ids: Vec<&str> = calls.iter().map(|call| call.worker_id.as_str()).collect();
        let seen = workers::workers_alive(conn, &worker_ids, now, now - SEEN_EVERY).await?;
        let result = |call: &&Self| {
            // A locked one keeps the lease that it has. The next heartbeat extends it, or finds it lost.
            let lease = |key| extended.get(&key).or_else(|| live.get(&key)).copied().cloned();
            Some(Ok(Leases {
                live: call.keys().filter_map(lease).collect(),
                is_extended: call.keys().any(|key| extended.contains_key(&key)),
                is_worker_seen: seen.contains(&call.worker_id),
            }))
        };
        Ok(calls.iter().map(result).collect())
    }

    fn work(_leases: &Leases) -> Work {
        Work::none()
    }

    fn has_written(leases: &Leases) -> bool {
        leases.is_extended || leases.is_worker_seen
    }
}

impl LeaseCheck {
    fn keys(&self) -> impl Iterator<Item = LeaseKey<'_>> {
        self.attempts.iter().map(|id| LeaseKey {
            worker_id: &self.worker_id,
            job_id: &id.job_id,
            attempt: id.attempt,
        })
    }
}

fn by_key(leases: &[LiveAttempt]) -> BTreeMap<LeaseKey<'_>, &LiveAttempt> {
    leases.iter().map(|live| (live.key(), live)).collect()
}

/// Whether less than two thirds of the lease are left and it can be extended.
fn is_extension_due(live: &LiveAttempt, now: DateTime<Utc>) -> bool {
    let left = live.expires_at - now;
    left.num_milliseconds() < live.lease_ms * 2 / 3 && live.expires_at < live.latest_at
}

/// Whether a lease is lost, or a cancellation is not acknowledged.
fn is_news(live: &[LiveAttempt], acknowledged: &[(AttemptId, bool)]) -> bool {
    acknowledged.iter().any(|(id, acknowledged)| {
        let held = live.iter().find(|live| id_of(live) == *id);
        held.is_none_or(|held| held.cancel_requested && !acknowledged)
    })
}

fn lease_status(live: &LiveAttempt, update_pending: bool, now: DateTime<Utc>) -> LeaseStatus {
    let expires_in = (live.expires_at - now).to_std().unwrap_or_default();
    LeaseStatus { cancel_requested: live.cancel_requested, expires_in, update_pending }
}

fn id_of(live: &LiveAttempt) -> AttemptId {
    AttemptId { job_id: live.job_id.clone(), attempt: live.attempt }
}
