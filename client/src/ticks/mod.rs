//! Calls for the ticks of scheduled jobs: future, decided and missed ones.

mod backfill;
mod list;
mod preview;

use std::ops::RangeInclusive;

pub use backfill::BackfillJob;
pub use list::ListTicks;
pub use preview::PreviewTicks;

use prost_types::Timestamp;

use crate::{Client, Error, proto};

impl Client {
    /// Computes the next ticks of a scheduled job; those of a paused or inactive job as if it were active.
    pub fn preview_ticks(&self, job_id: impl Into<String>) -> PreviewTicks {
        PreviewTicks::of_job(self, job_id.into())
    }

    /// Computes the next ticks of a cron expression, in UTC or in [`PreviewTicks::timezone`].
    ///
    /// ```no_run
    /// # use windrow_client::{Client, Error};
    /// # async fn example(client: Client) -> Result<(), Error> {
    /// let preview = client.preview_cron("0 6 * * 1-5").timezone("Europe/Berlin").count(3).await?;
    /// for tick in preview.ticks {
    ///     println!("{}", tick.local_time);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn preview_cron(&self, cron_expression: impl Into<String>) -> PreviewTicks {
        PreviewTicks::of_expression(self, cron_expression.into())
    }

    /// Lists the tick ledger of a scheduled job, newest first, as a page or as a stream: every decided tick with
    /// its outcome. Entries are retained for 90 days by default.
    pub fn list_ticks(&self, job_id: impl Into<String>) -> ListTicks {
        ListTicks::new(self, job_id.into())
    }

    /// Explains why a scheduled job did or did not run at an instant, or what is planned for a future one.
    pub async fn explain_tick(
        &self,
        job_id: impl Into<String>,
        instant: impl Into<Timestamp>,
    ) -> Result<proto::ExplainTickResponse, Error> {
        let (scheduled_job_id, tick_at) = (job_id.into(), Some(instant.into()));
        self.raw().explain_tick(proto::ExplainTickRequest { scheduled_job_id, tick_at }).await
    }

    /// Creates runs for the past ticks of a range that have none, at most 1,000 ticks. Both ends are included.
    /// Ticks that have a run keep it, so repeating a backfill creates nothing twice. The schedule is unaffected.
    ///
    /// ```no_run
    /// use std::time::{Duration, SystemTime};
    ///
    /// # async fn example(client: windrow_client::Client) -> Result<(), windrow_client::Error> {
    /// let now = SystemTime::now();
    /// let week = now - Duration::from_hours(7 * 24)..=now;
    /// let backfill = client.backfill_job("sample_sold_daily", week).await?;
    /// println!("{} runs created", backfill.created_count);
    /// # Ok(())
    /// # }
    /// ```
    pub fn backfill_job(
        &self,
        job_id: impl Into<String>,
        range: RangeInclusive<impl Into<Timestamp>>,
    ) -> BackfillJob {
        let (start, end) = range.into_inner();
        BackfillJob::new(self, job_id.into(), start.into(), end.into())
    }
}
