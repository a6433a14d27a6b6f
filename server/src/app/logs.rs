//! Logs of runs: reading them, and appending to them within their limits.

use std::mem;

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

/// New lines of an attempt, in the log of its run.
pub(super) struct Entry {
    pub(super) run: RunId,
    pub(super) attempt: i32,
    pub(super) lines: Vec<Line>,
}

/// Appends lines to the logs of locked runs, within the limits of a log. Each run has one entry.
pub(super) async fn append(
    conn: &mut PgConnection,
    mut entries: Vec<Entry>,
    now: DateTime<Utc>,
) -> Result<(), AppError> {
    entries.retain(|entry| !entry.lines.is_empty());
    if entries.is_empty() {
        return Ok(());
    }
    let attempts: Vec<_> = entries.iter().map(|entry| (&entry.run, entry.attempt)).collect();
    let mut counts = logs::log_counts(conn, &attempts).await?;
    let mut kept = Vec::new();
    for Entry { run, attempt, lines } in &mut entries {
        let counts = counts.remove(run.as_str()).unwrap_or_default();
        let lines = log::within_bounds(mem::take(lines), counts);
        kept.extend(lines.into_iter().map(|line| (&*run, *attempt, line)));
    }
    Ok(logs::log_append(conn, &kept, now).await?)
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
