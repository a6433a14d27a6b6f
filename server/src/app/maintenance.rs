//! What keeps the rest right: the database's time, hints to other servers, forgetting.

use chrono::{DateTime, TimeDelta, Utc};

use super::{App, AppError};
use crate::store::{self, feed, leases, listen, logs, requests, revisions, ticks, workers};

/// How long request ids are kept.
const REQUESTS_KEPT: TimeDelta = TimeDelta::days(7);
/// How long workers are kept that are not heard of.
const WORKERS_KEPT: TimeDelta = TimeDelta::days(1);
/// How long turns are kept: as long as the boost of an urgent run makes them matter.
const TURNS_KEPT: TimeDelta = TimeDelta::days(11);
/// How long lines of the logs of ended runs are kept.
const LOGS_KEPT: TimeDelta = TimeDelta::days(30);
/// How long the tick ledger and the revisions that it speaks of are kept.
const LEDGER_KEPT: TimeDelta = TimeDelta::days(90);
/// Most rows that one statement deletes, so that no lock is held for long.
const PRUNE_LIMIT: i64 = 1_000;

impl App {
    /// The time by the database's clock.
    pub async fn database_time(&self) -> Result<DateTime<Utc>, AppError> {
        Ok(store::clock_read(&self.pool).await?)
    }

    /// Signals who waits for work or news when another server has told of some; never ends.
    pub async fn pass_hints_on(&self) {
        loop {
            self.hub.hint().await;
            self.signals.work.notify_waiters();
            self.signals.leases.notify_waiters();
        }
    }

    /// Tells other servers that events were committed.
    pub async fn notify_servers(&self) -> Result<(), AppError> {
        Ok(listen::notify(&self.pool).await?)
    }

    /// Forgets what has had its time: ticks, revisions, request ids, turns, workers and lines of logs;
    /// returns how many.
    pub async fn prune(&self) -> Result<u64, AppError> {
        let now = self.now();
        let ledger = now - LEDGER_KEPT;
        let mut conn = self.acquire().await?;
        let mut forgotten = workers::workers_prune(&mut conn, now - WORKERS_KEPT).await?;
        forgotten += leases::turns_prune(&mut conn, now - TURNS_KEPT, PRUNE_LIMIT).await?;
        // One batch of each at a time, until there is nothing of any.
        loop {
            let batch = ticks::ticks_prune(&mut conn, ledger, PRUNE_LIMIT).await?
                + revisions::revisions_prune(&mut conn, ledger, PRUNE_LIMIT).await?
                + requests::requests_prune(&mut conn, now - REQUESTS_KEPT, PRUNE_LIMIT).await?
                + logs::logs_prune(&mut conn, now - LOGS_KEPT, PRUNE_LIMIT).await?;
            forgotten += batch;
            if batch == 0 {
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
