//! Unary calls as the contract has them: request message in, response message out.

mod jobs;
mod properties;
mod runs;

use crate::Client;

/// The calls of the contract, one method per unary RPC; see [`Client::raw`].
///
/// They have the same timeout, retries and spans as the methods of [`Client`]. Streams are opened
/// with [`Client::watch`], [`Client::watch_all`] and [`Client::export_properties`].
#[derive(Clone, Copy, Debug)]
pub struct Raw<'a>(&'a Client);

impl Client {
    /// Full control over requests and responses, for fields that the other methods do not cover.
    ///
    /// ```no_run
    /// use windrow_client::{Client, Error, proto};
    ///
    /// # async fn example(client: Client) -> Result<(), Error> {
    /// let request = proto::GetScheduledJobRequest {
    ///     scheduled_job_id: "sample_sold_daily".into(),
    ///     limit: 5,
    ///     ..Default::default()
    /// };
    /// let response = client.raw().get_scheduled_job(request).await?;
    /// println!("{} of {} runs", response.job_runs.len(), response.total_runs);
    /// # Ok(())
    /// # }
    /// ```
    pub fn raw(&self) -> Raw<'_> {
        Raw(self)
    }
}
