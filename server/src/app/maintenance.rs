//! Maintenance: reads the database's time, notifies other servers, and prunes old rows.

use chrono::{DateTime, TimeDelta, Utc};

use super::signals::Work;
use super::{App, AppError};
use crate::store::{self, feed, listen, logs, requests, revisions, servers, ticks, turns, workers};

const REQUEST_RETENTION: TimeDelta = TimeDelta::days(7);
/// Retention of workers and servers after they were last seen.
const WORKER_RETENTION: TimeDelta = TimeDelta::days(1);
/// Retention of turns. The boost of an immediate run, 10 days, is the longest time for which they matter.
const TURN_RETENTION: TimeDelta = TimeDelta::days(11);
/// Retention of logs after the end of their run.
const LOG_RETENTION: TimeDelta = TimeDelta::days(30);
/// Retention of the tick ledger and of the job revisions that it refers to.
const LEDGER_RETENTION: TimeDelta = TimeDelta::days(90);
/// Maximum number of rows that one statement deletes, so that it holds its locks only briefly.
const PRUNE_LIMIT: i64 = 1_000;

impl App {
    pub async fn database_time(&self) -> Result<DateTime<Utc>, AppError> {
        Ok(store::clock_read(&mut *self.acquire().await?).await?)
    }

    /// Whether the database has answered within the last seconds.
    pub fn is_database_answering(&self) -> bool {
        self.hub.is_database_answering()
    }

    /// Forwards the notifications of other servers to local waiters. Never returns.
    pub async fn forward_notifications(&self) {
        loop {
            self.hub.hint().await;
            self.signals.work_available.send(&Work::uncounted());
            self.signals.leases_changed.notify_waiters();
        }
    }

    /// Notifies other servers that events were committed.
    pub async fn notify_servers(&self) -> Result<(), AppError> {
        Ok(listen::notify(&mut *self.acquire().await?, self.hub.instance()).await?)
    }

    /// Deletes ticks, revisions, request ids, turns, workers, servers and log lines that are past their retention.
    /// Returns the number of deleted rows.
    pub async fn prune(&self) -> Result<u64, AppError> {
        let now = self.now();
        let ledger = now - LEDGER_RETENTION;
        let mut conn = self.acquire().await?;
        let mut deleted = workers::workers_prune(&mut conn, now - WORKER_RETENTION).await?;
        deleted += servers::servers_prune(&mut conn, now - WORKER_RETENTION).await?;
        deleted += turns::turns_prune(&mut conn, now - TURN_RETENTION, PRUNE_LIMIT).await?;
        // One batch of each kind per round, until a round finds nothing.
        loop {
            let batch = ticks::ticks_prune(&mut conn, ledger, PRUNE_LIMIT).await?
                + revisions::revisions_prune(&mut conn, ledger, PRUNE_LIMIT).await?
                + requests::requests_prune(&mut conn, now - REQUEST_RETENTION, PRUNE_LIMIT).await?
                + logs::logs_prune(&mut conn, now - LOG_RETENTION, PRUNE_LIMIT).await?;
            deleted += batch;
            if batch == 0 {
                return Ok(deleted);
            }
        }
    }

    /// Deletes one batch of events that are past their retention, except the last event of each unfinished
    /// run. Returns the number of events examined, 0 when there are no more.
    pub async fn prune_events(&self) -> Result<i64, AppError> {
        let retention = TimeDelta::from_std(self.event_retention).unwrap_or(TimeDelta::MAX);
        let cutoff = self.now() - retention;
        let mut conn = self.acquire().await?;
        Ok(feed::feed_prune(&mut conn, cutoff, PRUNE_LIMIT).await?)
    }
}
