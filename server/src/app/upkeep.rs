//! What keeps the rest right: the database's time, hints to other servers, forgetting.

use chrono::{DateTime, TimeDelta, Utc};

use super::{App, AppError};
use crate::store::{self, feed, leases, listen, requests, workers};

/// How long request ids are kept.
const REQUESTS_KEPT: TimeDelta = TimeDelta::days(7);
/// How long workers are kept that are not heard of.
const WORKERS_KEPT: TimeDelta = TimeDelta::days(1);
/// How long turns are kept: as long as the boost of an urgent run makes them matter.
const TURNS_KEPT: TimeDelta = TimeDelta::days(11);
/// Most rows that one statement deletes, so that no lock is held for long.
const PRUNE_LIMIT: i64 = 1_000;

impl App {
    /// The time by the database's clock.
    pub async fn database_time(&self) -> Result<DateTime<Utc>, AppError> {
        Ok(store::clock_read(&self.pool).await?)
    }

    /// Wakes who waits for work or news when another server has told of some; never ends.
    pub async fn pass_hints_on(&self) {
        loop {
            self.hub.hint().await;
            self.wakes.work.notify_waiters();
            self.wakes.leases.notify_one();
        }
    }

    /// Tells other servers that events were committed.
    pub async fn notify_servers(&self) -> Result<(), AppError> {
        Ok(listen::notify(&self.pool).await?)
    }

    /// Forgets request ids, turns and workers that have had their time; returns how many.
    pub async fn prune(&self) -> Result<u64, AppError> {
        let now = self.now();
        let before = now - REQUESTS_KEPT;
        let mut conn = self.acquire().await?;
        let mut forgotten = workers::workers_prune(&mut conn, now - WORKERS_KEPT).await?;
        forgotten += leases::turns_prune(&mut conn, now - TURNS_KEPT, PRUNE_LIMIT).await?;
        loop {
            let pruned = requests::requests_prune(&mut conn, before, PRUNE_LIMIT).await?;
            forgotten += pruned;
            if pruned == 0 {
                return Ok(forgotten);
            }
        }
    }

    /// Forgets some events that have had their time, save the last ones of unfinished runs. Returns how
    /// many it looked at; 0 when there are no more.
    pub async fn prune_events(&self) -> Result<i64, AppError> {
        let retention = TimeDelta::from_std(self.event_retention).unwrap_or(TimeDelta::MAX);
        let cutoff = self.now() - retention;
        let mut conn = self.acquire().await?;
        Ok(feed::feed_prune(&mut conn, cutoff, PRUNE_LIMIT).await?)
    }
}
