//! Measures how far the feed is held back, and warns about the transaction that does it.

use std::time::Duration;

use sqlx::PgConnection;
use tokio::time::Instant;
use tracing::warn;

use crate::store::StoreError;
use crate::store::feed::{self, BlockingTransaction};

/// Time between two measurements.
const PERIOD: Duration = Duration::from_secs(1);
/// A longer lag is worth a warning, repeated every minute.
const TOLERATED: Duration = Duration::from_secs(5);
const WARNING_PERIOD: Duration = Duration::from_mins(1);

/// Measures the age of the oldest committed event that watches may not see yet: a transaction that is still
/// open might commit something before it.
#[derive(Debug, Default)]
pub(super) struct Monitor {
    checked_at: Option<Instant>,
    warned_at: Option<Instant>,
}

impl Monitor {
    pub(super) fn is_due(&self) -> bool {
        self.checked_at.is_none_or(|at| at.elapsed() >= PERIOD)
    }

    /// Measures the lag, and warns if it is large.
    pub(super) async fn check(
        &mut self,
        conn: &mut PgConnection,
    ) -> Result<Option<Duration>, StoreError> {
        self.checked_at = Some(Instant::now());
        let lag = feed::feed_lag(conn).await?;
        let may_warn = self.warned_at.is_none_or(|at| at.elapsed() >= WARNING_PERIOD);
        if let Some(lag) = lag.filter(|lag| *lag > TOLERATED && may_warn) {
            self.warned_at = Some(Instant::now());
            if let Some(blocking) = feed::feed_blocking_transaction(conn).await? {
                warn_about_lag(&blocking, lag);
            }
        }
        Ok(lag)
    }
}

fn warn_about_lag(blocking: &BlockingTransaction, lag: Duration) {
    let unknown = || "?".to_owned();
    warn!(
        feed.lag_seconds = lag.as_secs(),
        transaction.pid = blocking.pid.map_or_else(unknown, |pid| pid.to_string()),
        transaction.prepared = blocking.prepared,
        transaction.user = blocking.user.clone().unwrap_or_else(unknown),
        transaction.database = blocking.database.clone().unwrap_or_else(unknown),
        transaction.application = blocking.application.clone().unwrap_or_else(unknown),
        transaction.seconds = blocking.age.map_or_else(unknown, |age| age.as_secs().to_string()),
        "Watches lag by {} s: a long-running transaction in the database cluster holds the feed back",
        lag.as_secs(),
    );
}
