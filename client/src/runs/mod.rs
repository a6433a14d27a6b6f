//! Calls for runs (`ScrapingJob` in the contract).

mod cancel;
mod list;
mod logs;
mod retry;
mod submit;
mod trigger;

pub use cancel::CancelRuns;
pub use list::ListRuns;
pub use logs::ListLogs;
pub use retry::RetryFailedLocations;
pub use submit::SubmitRun;
pub use trigger::TriggerJob;

use futures::TryStreamExt;

use crate::error::required;
use crate::proto::{self, ScrapingJob};
use crate::{Client, Error};

impl Client {
    /// Creates a run of a scheduled job now, or repeats an earlier run, and returns without waiting for it.
    /// Safe to retry: a request id is generated unless `request` has one.
    ///
    /// ```no_run
    /// # use windrow_client::{Client, Error, TriggerJob};
    /// # async fn example(client: Client) -> Result<(), Error> {
    /// let run = client.trigger_job("sample_sold_daily").await?;
    /// let other = TriggerJob::new("sample_sold_daily").location("46220").label("team", "sales");
    /// let other = client.trigger_job(other).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn trigger_job(&self, request: impl Into<TriggerJob>) -> Result<ScrapingJob, Error> {
        let response = self.raw().trigger_job(request.into().into()).await?;
        required(response.scraping_job, "scraping_job")
    }

    /// Like [`Client::trigger_job`], but waits for the end of the run as [`Client::wait`] does. With
    /// [`TriggerJob::validate_only`] it returns the run that would be created.
    ///
    /// ```no_run
    /// use windrow_client::{Client, Error, proto::ScrapingJobStatus};
    ///
    /// # async fn example(client: Client) -> Result<(), Error> {
    /// let run = client.trigger_and_wait("sample_sold_daily").await?;
    /// match run.status() {
    ///     ScrapingJobStatus::Completed => println!("{} saved", run.properties_saved),
    ///     _ => println!("{}", run.error_message),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn trigger_and_wait(
        &self,
        request: impl Into<TriggerJob>,
    ) -> Result<ScrapingJob, Error> {
        let run = self.trigger_job(request).await?;
        // A run without an id was only validated.
        if run.job_id.is_empty() { Ok(run) } else { self.wait(&run.job_id).await }
    }

    /// Waits for the end of a run and returns its final state: completed, failed or cancelled. A failed run is
    /// not an error of this call.
    ///
    /// Survives lost connections, restarted servers and a restored database; if the restored database does
    /// not have the run, the code is `NotFound`. To bound the wait, wrap it in `tokio::time::timeout`; the
    /// run keeps going.
    pub async fn wait(&self, run_id: impl Into<String>) -> Result<ScrapingJob, Error> {
        let states = self.watch(run_id).restart_after_gap().states();
        let last = states.try_fold(None, |_, run| async { Ok(Some(run)) }).await?;
        required(last, "scraping_job")
    }

    /// Creates a one-off run without a scheduled job, now or at a given time. Safe to retry: a request id is
    /// generated unless `run` has one.
    pub async fn submit_run(&self, run: impl Into<SubmitRun>) -> Result<ScrapingJob, Error> {
        let response = self.raw().submit_scraping_job(run.into().into()).await?;
        required(response.scraping_job, "scraping_job")
    }

    /// Returns a run in its current state.
    pub async fn get_run(&self, run_id: impl Into<String>) -> Result<ScrapingJob, Error> {
        let request = proto::GetScrapingJobRequest { job_id: run_id.into() };
        let response = self.raw().get_scraping_job(request).await?;
        required(response.scraping_job, "scraping_job")
    }

    /// Lists runs, newest first, as a page or as a stream; see [`ListRuns`].
    pub fn list_runs(&self) -> ListRuns {
        ListRuns::new(self)
    }

    /// Cancels a run. A pending run ends immediately; the worker of a running one is asked to stop and has ten
    /// seconds for it. Not retried. Cancelling a cancelled run is OK, another ended run is
    /// `FAILED_PRECONDITION` / `RUN_ENDED`.
    pub async fn cancel_run(&self, run_id: impl Into<String>) -> Result<ScrapingJob, Error> {
        let request = proto::CancelScrapingJobRequest { job_id: run_id.into() };
        let response = self.raw().cancel_scraping_job(request).await?;
        required(response.scraping_job, "scraping_job")
    }

    /// Cancels all pending and running runs of a job or a filter, at least one of which is required; see
    /// [`CancelRuns`]. Not retried; after an error, call it again to cancel the rest.
    pub fn cancel_runs(&self) -> CancelRuns {
        CancelRuns::new(self)
    }

    /// Creates a run for the locations that an ended run did not complete. Safe to retry: a request id is
    /// generated unless [`RetryFailedLocations::request_id`] sets one.
    pub fn retry_failed_locations(&self, run_id: impl Into<String>) -> RetryFailedLocations {
        RetryFailedLocations::new(self, run_id.into())
    }

    /// Lists the log of a run by line number, as a page or as a stream; see [`ListLogs`].
    pub fn list_logs(&self, run_id: impl Into<String>) -> ListLogs {
        ListLogs::new(self, run_id.into())
    }
}
