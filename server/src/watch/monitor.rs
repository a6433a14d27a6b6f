//! How far the feed is held back, and by whom.

use std::time::Duration;

use sqlx::PgConnection;
use tokio::time::Instant;
use tracing::warn;

use crate::store::StoreError;
use crate::store::feed::{self, BlockingTransaction};

/// How often it looks.
const PERIOD: Duration = Duration::from_secs(1);
/// A feed that is held back for so long is worth a warning, and another one each minute.
const TOLERATED: Duration = Duration::from_secs(5);
const WARNING_PERIOD: Duration = Duration::from_mins(1);

/// Measures how long the oldest event waits that cannot be shown yet, because a transaction is open that
/// might commit something before it.
#[derive(Debug, Default)]
pub(super) struct Monitor {
    looked_at: Option<Instant>,
    warned_at: Option<Instant>,
}

impl Monitor {
    /// Whether it is time to look.
    pub(super) fn is_due(&self) -> bool {
        self.looked_at.is_none_or(|at| at.elapsed() >= PERIOD)
    }

    /// Looks, and warns if it is worth it.
    pub(super) async fn look(
        &mut self,
        conn: &mut PgConnection,
    ) -> Result<Option<Duration>, StoreError> {
        self.looked_at = Some(Instant::now());
        let lag = feed::feed_lag(conn).await?;
        let may_warn = self.warned_at.is_none_or(|at| at.elapsed() >= WARNING_PERIOD);
        if let Some(lag) = lag.filter(|lag| *lag > TOLERATED && may_warn) {
            self.warned_at = Some(Instant::now());
            if let Some(culprit) = feed::feed_culprit(conn).await? {
                warn_about_lag(&culprit, lag);
            }
        }
        Ok(lag)
    }
}

fn warn_about_lag(culprit: &BlockingTransaction, lag: Duration) {
    let unknown = || "?".to_owned();
    warn!(
        feed.lag_seconds = lag.as_secs(),
        transaction.pid = culprit.pid.map_or_else(unknown, |pid| pid.to_string()),
        transaction.prepared = culprit.prepared,
        transaction.user = culprit.user.clone().unwrap_or_else(unknown),
        transaction.database = culprit.database.clone().unwrap_or_else(unknown),
        transaction.application = culprit.application.clone().unwrap_or_else(unknown),
        transaction.seconds = culprit.age.map_or_else(unknown, |age| age.as_secs().to_string()),
        "Watches are {} s late, because a transaction of the database's cluster is open for so long",
        lag.as_secs(),
    );
}
