//! Heartbeats: write the news of attempts, extend their leases, and report cancellations and lost leases
//! without delay.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::{Instant, sleep_until, timeout_at};
use windrow_worker::{AttemptId, HeartbeatItem, LeaseStatus};

use super::SEEN_EVERY;
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
        let ids: Vec<AttemptId> = acknowledged.iter().map(|(id, _)| id.clone()).collect();
        // Register for wake-ups before querying, or a notification in between would be lost.
        let mut woken = Box::pin(self.signals.leases_changed.notified());
        woken.as_mut().enable();
        let (mut live, extended) = self.extend_leases(worker_id, &ids, now).await?;
        while !extended && !is_news(&live, &acknowledged) && Instant::now() < until {
            let next_query = until.min(Instant::now() + QUERY_GAP);
            let _woken_or_not = timeout_at(until, woken.as_mut()).await;
            sleep_until(next_query).await;
            woken.set(self.signals.leases_changed.notified());
            woken.as_mut().enable();
            live = leases::leases_live(&mut *self.acquire().await?, &ids).await?;
        }
        Ok(live.iter().map(|live| (id_of(live), lease_status(live, now))).collect())
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

    /// Extends leases that are due for it; returns all that are still held, and whether one was extended.
    async fn extend_leases(
        &self,
        worker_id: &str,
        ids: &[AttemptId],
        now: DateTime<Utc>,
    ) -> Result<(Vec<LiveAttempt>, bool), AppError> {
        let mut conn = self.acquire().await?;
        let mut live = leases::leases_live(&mut conn, ids).await?;
        let due: Vec<AttemptId> =
            live.iter().filter(|live| is_extension_due(live, now)).map(id_of).collect();
        if !due.is_empty() {
            let extended = leases::leases_extend(&mut conn, &due, now).await?;
            // A lease that was lost between the two statements is not among the extended ones.
            live.retain(|live| !due.contains(&id_of(live)));
            live.extend(extended);
        }
        workers::worker_alive(&mut conn, worker_id, now, now - SEEN_EVERY).await?;
        Ok((live, !due.is_empty()))
    }
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
