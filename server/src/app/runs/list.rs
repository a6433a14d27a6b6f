//! Pages of runs.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::app::page::PageReader;
use crate::app::{App, AppError, Page};
use crate::domain::filter::{RunConditions, RunFilter};
use crate::domain::id::RunId;
use crate::domain::run::Run;
use crate::store::runs::{self, COUNT_LIMIT};
use crate::store::scheduled_jobs;

/// Filters and position of a page of runs.
#[derive(Clone, Debug)]
pub struct RunQuery {
    pub filter: RunFilter,
    /// Creation and id of the last run on the previous page.
    pub after: Option<(DateTime<Utc>, RunId)>,
    pub limit: i64,
}

/// A page of runs, newest first.
#[derive(Clone, Debug)]
pub struct RunPage {
    pub runs: Page<Run>,
    /// Number of matching runs on all pages.
    pub total: i64,
    /// Whether counting stopped at `total`.
    pub total_is_lower_bound: bool,
}

impl App {
    pub async fn list_runs(&self, query: RunQuery) -> Result<RunPage, AppError> {
        // One snapshot for page and total: a run that ended in between would be in neither count.
        let mut conn = self.begin_snapshot().await?;
        let RunQuery { filter, after, limit } = query;
        let mut page = PageReader::new(limit);
        while let Some(rows) = page.rows() {
            let last = page.last().map(|run: &Run| (run.spec.created_at, run.spec.id.clone()));
            let after = last.as_ref().or(after.as_ref());
            let budget = &mut page.budget;
            let found = runs::runs_list(&mut conn, &filter, after, rows, budget).await?;
            page.add(rows, found);
        }
        let (total, total_is_lower_bound) = count(&mut conn, &filter).await?;
        Ok(RunPage { runs: page.page(), total, total_is_lower_bound })
    }
}

async fn count(conn: &mut PgConnection, filter: &RunFilter) -> Result<(i64, bool), AppError> {
    let all = filter.conditions == RunConditions::default();
    if let (Some(job), true) = (&filter.scheduled_job_id, all) {
        let kept = scheduled_jobs::scheduled_job_get(conn, job).await?;
        let ended = kept.map_or(0, |job| job.history.run_count);
        return Ok((ended + runs::runs_count_beyond_history(conn, job).await?, false));
    }
    let found = runs::runs_count(conn, filter).await?;
    Ok((found.min(COUNT_LIMIT), found > COUNT_LIMIT))
}
