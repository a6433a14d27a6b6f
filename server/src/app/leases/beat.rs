//! Heartbeats: what attempts say is written, their leases are extended, and workers learn of
//! cancellations and lost leases as soon as there are any.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{AttemptUpdate, Fence, SEEN_EVERY};
use crate::app::{App, AppError};
use crate::domain::id::RunId;
use crate::store::leases::{self, AttemptKey, LiveAttempt};
use crate::store::workers;

/// A waiting heartbeat does not look more often, however much happens elsewhere.
const LOOK_GAP: Duration = Duration::from_millis(20);

/// What a heartbeat says of one attempt.
#[derive(Clone, Debug)]
pub struct HeartbeatItem {
    pub fence: Fence,
    pub update: AttemptUpdate,
    /// The worker knows that it is to be cancelled.
    pub cancel_acknowledged: bool,
}

/// An attempt that still has its lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseStatus {
    /// Whether its cancellation was asked for.
    pub cancel_requested: bool,
    /// The lease is lost after this time without a heartbeat, counted from before the call.
    pub expires_in: Duration,
}

impl App {
    /// Takes a heartbeat of a worker for all its attempts: what they say is written, leases that have
    /// used up a third are extended, and those that are still held are returned. Waits at most so long
    /// while there is nothing that the worker has to know.
    pub async fn heartbeat(
        &self,
        worker_id: &str,
        items: Vec<HeartbeatItem>,
        wait: Duration,
    ) -> Result<BTreeMap<Fence, LeaseStatus>, AppError> {
        let (now, until) = (self.now(), Instant::now() + wait);
        let known: Vec<(AttemptKey, bool)> =
            items.iter().map(|beat| (key(&beat.fence), beat.cancel_acknowledged)).collect();
        for HeartbeatItem { fence, update, .. } in
            items.into_iter().filter(|beat| !beat.update.is_empty())
        {
            match self.progress(&fence, update).await {
                Ok(()) | Err(AppError::LeaseLost { .. } | AppError::RunNotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let keys: Vec<AttemptKey> = known.iter().map(|(key, _)| key.clone()).collect();
        // Before looking, so that what comes in between signals.
        let mut woken = Box::pin(self.signals.leases.notified());
        woken.as_mut().enable();
        let (mut live, extended) = self.keep(worker_id, &keys, now).await?;
        while !extended && !is_news(&live, &known) && Instant::now() < until {
            let next_look = until.min(Instant::now() + LOOK_GAP);
            let _woken_or_not = timeout_at(until, woken.as_mut()).await;
            sleep_until(next_look).await;
            woken.set(self.signals.leases.notified());
            woken.as_mut().enable();
            live = leases::leases_live(&mut *self.acquire().await?, &keys).await?;
        }
        Ok(live.iter().filter_map(|live| lease_status(live, now)).collect())
    }

    /// Extends what has to be extended; the attempts that are still held, and whether one was.
    async fn keep(
        &self,
        worker_id: &str,
        keys: &[AttemptKey],
        now: DateTime<Utc>,
    ) -> Result<(Vec<LiveAttempt>, bool), AppError> {
        let mut conn = self.acquire().await?;
        let mut live = leases::leases_live(&mut conn, keys).await?;
        let aging: Vec<AttemptKey> =
            live.iter().filter(|live| is_aging(live, now)).map(key_of).collect();
        if !aging.is_empty() {
            let extended = leases::leases_extend(&mut conn, &aging, now).await?;
            // One that was lost between the two is not among the extended.
            live.retain(|live| !aging.contains(&key_of(live)));
            live.extend(extended);
        }
        workers::worker_alive(&mut conn, worker_id, now, now - SEEN_EVERY).await?;
        Ok((live, !aging.is_empty()))
    }
}

/// More than a third of the lease is used up, and it can be longer.
fn is_aging(live: &LiveAttempt, now: DateTime<Utc>) -> bool {
    let left = live.expires_at - now;
    left.num_milliseconds() < live.lease_ms * 2 / 3 && live.expires_at < live.latest_at
}

/// An attempt is lost, or to be cancelled without the worker's knowing it.
fn is_news(live: &[LiveAttempt], known: &[(AttemptKey, bool)]) -> bool {
    known.iter().any(|(key, cancel_acknowledged)| {
        let held = live.iter().find(|live| key_of(live) == *key);
        held.is_none_or(|held| held.cancel_requested && !cancel_acknowledged)
    })
}

fn lease_status(live: &LiveAttempt, now: DateTime<Utc>) -> Option<(Fence, LeaseStatus)> {
    let run = RunId::parse(&live.job_id).ok()?;
    let expires_in = (live.expires_at - now).to_std().unwrap_or_default();
    let lease_status = LeaseStatus { cancel_requested: live.cancel_requested, expires_in };
    Some((Fence { run, attempt: live.attempt }, lease_status))
}

fn key(fence: &Fence) -> AttemptKey {
    AttemptKey { job_id: fence.run.to_string(), attempt: fence.attempt }
}

fn key_of(live: &LiveAttempt) -> AttemptKey {
    AttemptKey { job_id: live.job_id.clone(), attempt: live.attempt }
}
