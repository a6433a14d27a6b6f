//! Read-only queries about ticks: decisions about past ones, and a preview of the next ones.

use chrono::{DateTime, NaiveDateTime, Utc};

use super::page::PageReader;
use super::{App, AppError, Page};
use crate::domain::id::ScheduledJobId;
use crate::domain::ledger::LedgerEntry;
use crate::domain::schedule::{Schedule, Tick};
use crate::store::{scheduled_jobs, ticks};

/// Maximum number of skipped local times in a preview.
const SKIPPED_LIMIT: usize = 1_000;

/// The schedule to preview.
#[derive(Clone, Debug)]
pub enum Preview {
    /// The schedule of a job, in any status.
    Job(ScheduledJobId),
    /// A schedule that does not belong to a job.
    Schedule {
        cron_expression: String,
        /// IANA zone; empty is UTC.
        timezone: String,
    },
}

/// The next ticks of a schedule, with the effects of clock changes.
#[derive(Clone, Debug)]
pub struct Previewed {
    pub ticks: Vec<Tick>,
    /// Local times of the expression, up to the last tick, that a clock change skips and that have no tick.
    pub skipped: Vec<NaiveDateTime>,
    /// Likely mistakes in the settings, and the reason why there are fewer ticks than requested.
    pub warnings: Vec<String>,
}

impl App {
    /// The first `count` ticks after an instant, or after now if absent.
    pub async fn preview_ticks(
        &self,
        preview: Preview,
        after: Option<DateTime<Utc>>,
        count: usize,
    ) -> Result<Previewed, AppError> {
        let after = after.unwrap_or_else(|| self.now());
        let (schedule, mut warnings): (Schedule, Vec<String>) = match preview {
            Preview::Job(id) => {
                let mut conn = self.acquire().await?;
                let job = scheduled_jobs::scheduled_job_get(&mut conn, &id).await?;
                let job = job.ok_or(AppError::ScheduledJobNotFound(id))?;
                let obstacle = job.gate.obstacle_at(after);
                let obstacle = obstacle.map(|why| format!("{why}: its ticks create no runs"));
                let warnings = job.settings.warnings(&self.sources);
                (job.settings.schedule, obstacle.into_iter().chain(warnings).collect())
            }
            Preview::Schedule { cron_expression, timezone } => {
                let schedule = Schedule::parse(&cron_expression, &timezone)
                    .map_err(|error| AppError::invalid(error.field(), error.to_string()))?;
                let warnings = schedule.warnings();
                (schedule, warnings)
            }
        };
        let ticks: Vec<Tick> = schedule.ticks_after(after).take(count).collect();
        let until = ticks.last().map_or(after, |tick| tick.tick_at);
        let skipped = schedule.skipped_in(after, until, SKIPPED_LIMIT);
        if ticks.len() < count {
            warnings.extend(schedule.end());
        }
        Ok(Previewed { ticks, skipped, warnings })
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
        let mut page = PageReader::new(limit);
        while let Some(rows) = page.rows() {
            let last = page.last().map(|entry: &LedgerEntry| entry.decided.tick_at);
            let budget = &mut page.budget;
            let found = ticks::ticks_list(&mut conn, id, last.or(before), rows, budget).await?;
            page.add(rows, found);
        }
        Ok(page.page())
    }
}
