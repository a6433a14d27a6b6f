//! Logs of runs: the listing, and the conversion of their lines.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use windrow::v1 as proto;
use windrow_worker::LogLine;

use super::convert;
use super::page::{self, PageTokens};
use crate::app::{App, AppError};
use crate::domain::log::{KeptLine, Level, LogFilter};

/// Maximum number of lines in one request of a worker.
const MAX_LINES: usize = 1_000;

pub(super) async fn list(
    app: &Arc<App>,
    request: proto::ListScrapingJobLogsRequest,
) -> Result<proto::ListScrapingJobLogsResponse, AppError> {
    let proto::ListScrapingJobLogsRequest { job_id, attempt, location, min_level, .. } = &request;
    let list = format!("Logs {job_id} {attempt} {min_level} {location}");
    if *attempt < 0 {
        return Err(AppError::invalid("attempt", "must not be negative"));
    }
    let tokens = PageTokens::new(&list);
    let position: Option<i64> = tokens.read(&request.page_token)?;
    let filter = LogFilter {
        run: convert::run_id("job_id", job_id)?,
        attempt: (*attempt > 0).then_some(*attempt),
        location: Some(convert::short_text("location", location.clone())?)
            .filter(|location| !location.is_empty()),
        min_level: level("min_level", *min_level)?.map_or(Level::Debug, Level::from),
        after: position.unwrap_or(0).max(request.after_number),
        limit: page::size("page_size", request.page_size)?,
    };
    let found = app.list_logs(filter).await?;
    Ok(proto::ListScrapingJobLogsResponse {
        next_page_token: tokens.next(found.next_after().map(|line| line.number)),
        logs: found.items.into_iter().map(to_log).collect(),
    })
}

/// The lines in a worker's request.
pub(super) fn lines(
    field: &str,
    logs: Vec<proto::ScrapingJobLog>,
    now: DateTime<Utc>,
) -> Result<Vec<LogLine>, AppError> {
    if logs.len() > MAX_LINES {
        return Err(AppError::invalid(field, format!("has more than {MAX_LINES} lines")));
    }
    let line = |(index, log): (usize, proto::ScrapingJobLog)| {
        let path = |name: &str| format!("{field}[{index}].{name}");
        Ok(LogLine {
            sequence: log.sequence.max(0),
            level: level(&path("level"), log.level)?.unwrap_or(windrow_worker::Level::Info),
            logged_at: convert::time(&path("logged_at"), log.logged_at)?.unwrap_or(now),
            location: convert::short_text(&path("location"), log.location)?,
            text: log.text,
        })
    };
    logs.into_iter().enumerate().map(line).collect()
}

fn level(field: &str, number: i32) -> Result<Option<windrow_worker::Level>, AppError> {
    match proto::ScrapingJobLogLevel::try_from(number) {
        Ok(proto::ScrapingJobLogLevel::Unspecified) => Ok(None),
        Ok(proto::ScrapingJobLogLevel::Debug) => Ok(Some(windrow_worker::Level::Debug)),
        Ok(proto::ScrapingJobLogLevel::Info) => Ok(Some(windrow_worker::Level::Info)),
        Ok(proto::ScrapingJobLogLevel::Warning) => Ok(Some(windrow_worker::Level::Warning)),
        Ok(proto::ScrapingJobLogLevel::Error) => Ok(Some(windrow_worker::Level::Error)),
        Err(_) => Err(AppError::invalid(field, format!("{number} is not a level"))),
    }
}

fn to_log(kept: KeptLine) -> proto::ScrapingJobLog {
    let level = match kept.line.level {
        Level::Debug => proto::ScrapingJobLogLevel::Debug,
        Level::Info => proto::ScrapingJobLogLevel::Info,
        Level::Warning => proto::ScrapingJobLogLevel::Warning,
        Level::Error => proto::ScrapingJobLogLevel::Error,
    };
    proto::ScrapingJobLog {
        number: kept.number,
        attempt: kept.attempt,
        location: kept.line.location,
        logged_at: Some(convert::to_time(kept.line.logged_at)),
        level: level.into(),
        text: kept.line.text,
        sequence: kept.line.sequence,
    }
}
