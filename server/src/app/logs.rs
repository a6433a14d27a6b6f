//! Logs of runs: reading them, and appending to them within their limits.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use windrow_worker::LogLine;

use super::page::PageReader;
use super::{App, AppError, Page};
use crate::domain::id::RunId;
use crate::domain::log::{self, KeptLine, Level, Line, LogFilter};
use crate::store::{logs, runs};

impl App {
    /// Lines of a run's log, oldest first.
    pub async fn list_logs(&self, mut filter: LogFilter) -> Result<Page<KeptLine>, AppError> {
        let mut conn = self.acquire().await?;
        if runs::run_get(&mut conn, &filter.run).await?.is_none() {
            return Err(AppError::RunNotFound(filter.run));
        }
        let mut page = PageReader::new(filter.limit);
        while let Some(rows) = page.rows() {
            filter.limit = rows;
            filter.after = page.last().map_or(filter.after, |line: &KeptLine| line.number);
            let found = logs::log_list(&mut conn, &filter, &mut page.budget).await?;
            page.add(rows, found);
        }
        Ok(page.page())
    }
}

/// Appends lines to the log of a locked run, within the limits of a log.
pub(super) async fn append(
    conn: &mut PgConnection,
    run: &RunId,
    attempt: i32,
    lines: Vec<Line>,
    now: DateTime<Utc>,
) -> Result<(), AppError> {
    if lines.is_empty() {
        return Ok(());
    }
    let counts = logs::log_counts(conn, run, attempt).await?;
    let kept = log::within_bounds(lines, counts);
    Ok(logs::log_append(conn, run, attempt, &kept, now).await?)
}

/// A line that the server itself writes about an attempt.
pub(super) fn line(level: Level, text: String, now: DateTime<Utc>) -> Line {
    Line { sequence: 0, location: String::new(), logged_at: now, level, text }
}

/// The lines of a worker.
pub(super) fn to_lines(lines: Vec<LogLine>) -> Vec<Line> {
    let line = |line: LogLine| Line {
        sequence: line.sequence,
        location: line.location,
        logged_at: line.logged_at,
        level: line.level.into(),
        text: line.text,
    };
    lines.into_iter().map(line).collect()
}

impl From<windrow_worker::Level> for Level {
    fn from(level: windrow_worker::Level) -> Self {
        match level {
            windrow_worker::Level::Debug => Self::Debug,
            windrow_worker::Level::Info => Self::Info,
            windrow_worker::Level::Warning => Self::Warning,
            windrow_worker::Level::Error => Self::Error,
        }
    }
}
