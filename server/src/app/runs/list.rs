//! Pages of runs.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::app::{App, AppError};
use crate::domain::id::{RunId, ScheduledJobId};
use crate::domain::run::{Run, Status};
use crate::domain::wanted::RunConditions;
use crate::store::runs::{self, COUNT_LIMIT, RunFilter};
use crate::store::scheduled_jobs;

/// Which runs a list is about.
#[derive(Clone, Debug)]
pub struct RunQuery {
    /// Only of this scheduled job.
    pub scheduled_job_id: Option<ScheduledJobId>,
    /// Only in this state.
    pub status: Option<Status>,
    /// What else is asked of them.
    pub conditions: RunConditions,
    /// Where the page begins: after this run.
    pub after: Option<(DateTime<Utc>, RunId)>,
    /// At most so many.
    pub limit: i64,
}

/// A page of runs, newest first.
#[derive(Clone, Debug)]
pub struct RunPage {
    pub runs: Vec<Run>,
    /// How many match on all pages.
    pub total: i64,
    /// Whether there are more than `total` says.
    pub total_is_lower_bound: bool,
    /// Where the next page begins, if there is one.
    pub next: Option<(DateTime<Utc>, RunId)>,
}

impl App {
    /// A page of runs, newest first.
    pub async fn list_runs(&self, wanted: RunQuery) -> Result<RunPage, AppError> {
        // One state for page and total: a run that ends in between would be in neither count.
        let mut conn = self.begin_snapshot().await?;
        let filter = RunFilter {
            scheduled_job_id: wanted.scheduled_job_id,
            status: wanted.status,
            conditions: wanted.conditions,
            after: wanted.after,
        };
        // One more than wanted tells whether there is a next page.
        let mut page = runs::runs_list(&mut conn, &filter, wanted.limit + 1).await?;
        let has_more = i64::try_from(page.len()).is_ok_and(|length| length > wanted.limit);
        if has_more {
            page.pop();
        }
        let next = page.last().filter(|_| has_more).map(|run| (run.created_at, run.id.clone()));
        let count = count(&mut conn, &filter).await?;
        let (total, total_is_lower_bound) = count;
        Ok(RunPage { runs: page, total, total_is_lower_bound, next })
    }
}

async fn count(conn: &mut PgConnection, filter: &RunFilter) -> Result<(i64, bool), AppError> {
    let all = filter.status.is_none() && filter.conditions == RunConditions::default();
    if let (Some(job), true) = (&filter.scheduled_job_id, all) {
        let kept = scheduled_jobs::scheduled_job_get(conn, job).await?;
        let ended = kept.map_or(0, |job| job.history.run_count);
        return Ok((ended + runs::runs_count_active(conn, job).await?, false));
    }
    let found = runs::runs_count(conn, filter).await?;
    Ok((found.min(COUNT_LIMIT), found > COUNT_LIMIT))
}
