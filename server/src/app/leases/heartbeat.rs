//! Heartbeats: write the news of attempts, extend their leases, and report cancellations and lost leases
//! without delay.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use tokio::time::{Instant, sleep_until, timeout_at};
use windrow_worker::{AttemptId, HeartbeatItem, LeaseStatus};

use super::SEEN_EVERY;
use crate::app::group_commit::{GroupCall, Locked, Results};
use crate::app::signals::Work;
use crate::app::{App, AppError};
use crate::store::leases::{self, LiveAttempt};
use crate::store::workers;

/// Minimum interval between two queries of a waiting heartbeat, for bursts of notifications.
const QUERY_GAP: Duration = Duration::from_millis(20);

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
        self.write_updates(items).await?;
        let attempts: Vec<AttemptId> = acknowledged.iter().map(|(id, _)| id.clone()).collect();
        let call = LeaseCheck { worker_id: worker_id.to_owned(), attempts, now };
        // Register for wake-ups before querying, or a notification in between would be lost.
        let mut woken = Box::pin(self.signals.leases_changed.notified());
        woken.as_mut().enable();
        let mut leases = self.lease_checks.call(call.clone()).await?;
        while !leases.is_extended && !is_news(&leases.live, &acknowledged) && Instant::now() < until
        {
            let next_query = until.min(Instant::now() + QUERY_GAP);
            let _woken_or_not = timeout_at(until, woken.as_mut()).await;
            sleep_until(next_query).await;
            woken.set(self.signals.leases_changed.notified());
            woken.as_mut().enable();
            match self.lease_checks.call(call.clone()).await {
                Ok(checked) => leases = checked,
                // The burst of a notification to very many workers. The next one is no worse.
                Err(AppError::Overloaded) => {}
                Err(error) => return Err(error),
            }
        }
        let live = leases.live.iter();
        Ok(live.map(|live| (id_of(live), lease_status(live, now))).collect())
    }

    async fn write_updates(&self, items: Vec<HeartbeatItem>) -> Result<(), AppError> {
        for HeartbeatItem { id, update, .. } in items {
            if update.is_empty() {
                continue;
            }
            match self.progress(&id, update).await {
                // The response reports the lost lease.
                Ok(()) | Err(AppError::LeaseLost { .. } | AppError::RunNotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
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
        locked: Locked,
    ) -> Result<Results<Leases>, AppError> {
        let now = calls.iter().map(|call| call.now).max().unwrap_or_default();
        let attempts: Vec<AttemptId> =
            calls.iter().flat_map(|call| call.attempts.iter().cloned()).collect();
        let live = leases::leases_live(conn, &attempts).await?;
        let live: BTreeMap<AttemptId, LiveAttempt> =
            live.into_iter().map(|live| (id_of(&live), live)).collect();
        let is_due = |(_, live): &(&AttemptId, &LiveAttempt)| is_extension_due(live, now);
        let due: BTreeSet<AttemptId> =
            live.iter().filter(is_due).map(|(id, _)| id.clone()).collect();
        let extended = extend(conn, &due, locked, now).await?;
        let worker_ids: Vec<&str> = calls.iter().map(|call| call.worker_id.as_str()).collect();
        let seen = workers::workers_alive(conn, &worker_ids, now, now - SEEN_EVERY).await?;
        let result = |call: &&Self| {
            let mut due_here = call.attempts.iter().filter(|id| due.contains(id)).peekable();
            let is_extended = due_here.peek().is_some();
            // Locked, or lost since it was read: only a call of its own can tell.
            if locked == Locked::Skip && due_here.any(|id| !extended.contains_key(id)) {
                return None;
            }
            let lease =
                |id: &AttemptId| if due.contains(id) { extended.get(id) } else { live.get(id) };
            Some(Ok(Leases {
                live: call.attempts.iter().filter_map(lease).cloned().collect(),
                is_extended,
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

async fn extend(
    conn: &mut PgConnection,
    due: &BTreeSet<AttemptId>,
    locked: Locked,
    now: DateTime<Utc>,
) -> Result<BTreeMap<AttemptId, LiveAttempt>, AppError> {
    if due.is_empty() {
        return Ok(BTreeMap::new());
    }
    let due: Vec<AttemptId> = due.iter().cloned().collect();
    let extended = match locked {
        Locked::Wait => leases::leases_extend(conn, &due, now).await?,
        Locked::Skip => leases::leases_extend_free(conn, &due, now).await?,
    };
    Ok(extended.into_iter().map(|live| (id_of(&live), live)).collect())
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

fn lease_status(live: &LiveAttempt, now: DateTime<Utc>) -> LeaseStatus {
    let expires_in = (live.expires_at - now).to_std().unwrap_or_default();
    LeaseStatus { cancel_requested: live.cancel_requested, expires_in }
}

fn id_of(live: &LiveAttempt) -> AttemptId {
    AttemptId { job_id: live.job_id.clone(), attempt: live.attempt }
}
