//! Waiting for the end of a run.

use futures::TryStreamExt;

use crate::{Client, Code, Error, proto};

impl Client {
    /// Makes a run, waits for its end and returns it as it was then: completed, failed or cancelled, which
    /// only its status says. One that is only validated is returned as it would be made. Restarted servers and
    /// lost connections do not disturb it. Who does not want to wait for ever wraps it in a time-out; the run
    /// goes on then.
    ///
    /// ```no_run
    /// use windrow_client::{Client, Error, TriggerJob, proto};
    ///
    /// # async fn example(client: Client) -> Result<(), Error> {
    /// let run = client.trigger_and_wait(TriggerJob::new("daily-sold").location("46220")).await?;
    /// match run.status() {
    ///     proto::ScrapingJobStatus::Completed => println!("{} saved", run.properties_saved),
    ///     _ => println!("{}", run.error_message),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn trigger_and_wait(
        &self,
        request: impl Into<proto::TriggerJobRequest>,
    ) -> Result<proto::ScrapingJob, Error> {
        let made = self.trigger_job(request).await?;
        match made.scraping_job {
            // It was only to be checked.
            Some(run) if made.job_id.is_empty() => Ok(run),
            Some(_) | None => self.wait(&made.job_id).await,
        }
    }

    /// Waits for the end of a run and returns it as it was then. A database that was restored or failed over
    /// meanwhile does not disturb it either, unless the run is gone with that: [`Error::NotFound`].
    pub async fn wait(&self, job_id: &str) -> Result<proto::ScrapingJob, Error> {
        let states = self.watch_for_end(job_id);
        let end = states.try_fold(None, |_, run| async { Ok(Some(run)) }).await?;
        end.ok_or_else(no_state)
    }
}

fn no_state() -> Error {
    let message = "the server ended the watch of a run without its state".to_owned();
    Error::Other { code: Code::Internal, message, reason: None }
}
