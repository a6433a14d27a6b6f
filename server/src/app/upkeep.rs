//! What keeps the rest right: the database's time, hints to other servers, forgetting.

use chrono::{DateTime, TimeDelta, Utc};

use super::{App, AppError};
use crate::store::{self, listen, requests};

/// How long request ids are kept.
const REQUESTS_KEPT: TimeDelta = TimeDelta::days(7);
/// Most rows that one statement deletes, so that no lock is held for long.
const PRUNE_LIMIT: i64 = 1_000;

impl App {
    /// The time by the database's clock.
    pub async fn database_time(&self) -> Result<DateTime<Utc>, AppError> {
        Ok(store::clock_read(&self.pool).await?)
    }

    /// Tells other servers that events were committed.
    pub async fn notify_servers(&self) -> Result<(), AppError> {
        Ok(listen::notify(&self.pool).await?)
    }

    /// Forgets request ids that have had their time; returns how many.
    pub async fn prune_requests(&self) -> Result<u64, AppError> {
        let before = self.now() - REQUESTS_KEPT;
        let mut conn = self.acquire().await?;
        let mut forgotten = 0;
        loop {
            let pruned = requests::requests_prune(&mut conn, before, PRUNE_LIMIT).await?;
            forgotten += pruned;
            if pruned == 0 {
                return Ok(forgotten);
            }
        }
    }
}
