//! Incremental reads: a run only needs the listings that changed since the last complete run of its
//! scheduled job.

use chrono::{DateTime, Utc};

use super::{App, AppError};
use crate::domain::parameters::ScrapeParameters;
use crate::domain::run::Run;
use crate::store::{runs, scheduled_jobs};

impl App {
    /// The lower bound for an incremental read: the start of the last complete run of the same scheduled
    /// job with the same parameters.
    ///
    /// `None` means a full read: if there is no such run, if the parameters have `full_scrape` or a limit,
    /// and for every `full_every`-th run of the job. A run with failed locations is not complete.
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
        let alike = read_parameters(&run.spec.parameters);
        Ok(runs::run_complete_started(&mut conn, job, &alike).await?)
    }
}

/// The parameters that decide which listings are read, without those about the way of reading.
fn read_parameters(parameters: &ScrapeParameters) -> ScrapeParameters {
    ScrapeParameters { full_scrape: None, request_delay: None, ..parameters.clone() }
}
