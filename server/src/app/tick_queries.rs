//! Asking about ticks: what became of past ones, and when the next ones are.

use chrono::{DateTime, NaiveDateTime, Utc};

use super::page::query_limit;
use super::{App, AppError, Page};
use crate::domain::id::ScheduledJobId;
use crate::domain::schedule::{Schedule, Tick};
use crate::store::{scheduled_jobs, ticks};

pub use crate::store::ticks::LedgerEntry;

/// Most skipped times that a preview shows.
const SKIPPED_LIMIT: usize = 1_000;

/// Whose ticks to look ahead to.
#[derive(Clone, Debug)]
pub enum Preview {
    /// Those of a scheduled job, whatever its status.
    Job(ScheduledJobId),
    /// Those of a schedule that nobody has created yet.
    Schedule {
        cron_expression: String,
        /// IANA zone; empty is UTC.
        timezone: String,
    },
}

/// When a schedule is due, and what clocks make of it.
#[derive(Clone, Debug)]
pub struct Previewed {
    pub ticks: Vec<Tick>,
    /// Named wall-clock times up to the last tick that clocks skip, so that there is no tick.
    pub skipped: Vec<NaiveDateTime>,
}

impl App {
    /// The first `count` ticks after an instant, or after now.
    pub async fn preview_ticks(
        &self,
        preview: Preview,
        after: Option<DateTime<Utc>>,
        count: usize,
    ) -> Result<Previewed, AppError> {
        let schedule = match preview {
            Preview::Job(id) => {
                let mut conn = self.acquire().await?;
                let job = scheduled_jobs::scheduled_job_get(&mut conn, &id).await?;
                self.timed(job.ok_or(AppError::ScheduledJobNotFound(id))?.settings.schedule)
            }
            Preview::Schedule { cron_expression, timezone } => {
                Schedule::parse(&cron_expression, &timezone)
                    .map_err(|error| AppError::invalid(error.field(), error.to_string()))?
            }
        };
        let after = after.unwrap_or_else(|| self.now());
        let ticks: Vec<Tick> = schedule.ticks_after(after).take(count).collect();
        let until = ticks.last().map_or(after, |tick| tick.tick_at);
        Ok(Previewed { skipped: schedule.skipped_in(after, until, SKIPPED_LIMIT), ticks })
    }

    /// The decisions about a job's ticks, newest first.
    pub async fn list_ticks(
        &self,
        id: &ScheduledJobId,
        before: Option<DateTime<Utc>>,
        limit: i64,
    ) -> Result<Page<LedgerEntry>, AppError> {
        let mut conn = self.acquire().await?;
        if scheduled_jobs::scheduled_job_get(&mut conn, id).await?.is_none() {
            return Err(AppError::ScheduledJobNotFound(id.clone()));
        }
        let rows = ticks::ticks_list(&mut conn, id, before, query_limit(limit)).await?;
        Ok(Page::from_rows(rows, limit))
    }
}
