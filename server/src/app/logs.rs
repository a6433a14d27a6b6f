//! Logs of runs.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::page::query_limit;
use super::{App, AppError, Fence, Page};
use crate::domain::log::{self, KeptLine, Level, Line};
use crate::store::logs::{self, LogFilter};
use crate::store::runs;

impl App {
    /// Lines of a run's log, oldest first.
    pub async fn list_logs(&self, mut filter: LogFilter) -> Result<Page<KeptLine>, AppError> {
        let mut conn = self.acquire().await?;
        if runs::run_get(&mut conn, &filter.run).await?.is_none() {
            return Err(AppError::RunNotFound(filter.run));
        }
        let limit = filter.limit;
        filter.limit = query_limit(limit);
        Ok(Page::from_rows(logs::log_list(&mut conn, &filter).await?, limit))
    }
}

/// Appends lines to the log of a run that is locked, within its bounds.
pub(super) async fn append(
    conn: &mut PgConnection,
    fence: &Fence,
    lines: Vec<Line>,
    now: DateTime<Utc>,
) -> Result<(), AppError> {
    if lines.is_empty() {
        return Ok(());
    }
    let counts = logs::log_counts(conn, &fence.run, fence.attempt).await?;
    let kept = log::within_bounds(lines, counts);
    Ok(logs::log_append(conn, &fence.run, fence.attempt, &kept, now).await?)
}

/// A line of the server's own about a whole attempt.
pub(super) fn line(level: Level, text: String, now: DateTime<Utc>) -> Line {
    Line { sequence: 0, location: String::new(), logged_at: now, level, text }
}
