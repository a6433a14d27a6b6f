//! Since when a run has to look: what its scheduled job's last complete run has read need not be read
//! again.

use chrono::{DateTime, Utc};

use super::{App, AppError, parameters_json};
use crate::domain::parameters::ScrapeParameters;
use crate::domain::run::Run;
use crate::store::{runs, scheduled_jobs};

impl App {
    /// The start of the last complete run of the same scheduled job with the same parameters: what
    /// changed since then has not been read. `None` is everything: without such a run, on request, with
    /// a limit, and for every `full_every`-th run of the job.
    ///
    /// A run that failed, or had failed locations, is not complete, so that it moves nothing.
    pub async fn changed_since(
        &self,
        run: &Run,
        full_every: u32,
    ) -> Result<Option<DateTime<Utc>>, AppError> {
        let Some(job) = &run.spec.scheduled_job_id else { return Ok(None) };
        if run.spec.parameters.full_scrape == Some(true) || run.spec.parameters.limit.is_some() {
            return Ok(None);
        }
        let mut conn = self.acquire().await?;
        let found = scheduled_jobs::scheduled_job_get(&mut conn, job).await?;
        let ended = found.map_or(0, |job| job.history.run_count);
        if ended % i64::from(full_every.max(1)) == 0 {
            return Ok(None);
        }
        let alike = parameters_json(&what_it_reads(&run.spec.parameters));
        Ok(runs::run_complete_started(&mut conn, job, &alike).await?)
    }
}

/// Without what only says how it reads.
fn what_it_reads(parameters: &ScrapeParameters) -> ScrapeParameters {
    ScrapeParameters { full_scrape: None, request_delay: None, ..parameters.clone() }
}
