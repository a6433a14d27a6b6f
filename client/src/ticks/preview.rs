//! Previews of a schedule.

use futures::future::BoxFuture;
use prost_types::Timestamp;

use crate::{Client, Error, pages, proto};

/// A call for the next ticks of a schedule; await it. See [`Client::preview_ticks`] and
/// [`Client::preview_cron`].
#[derive(Clone, Debug)]
#[must_use = "a call does nothing until it is awaited"]
pub struct PreviewTicks {
    client: Client,
    request: proto::PreviewTicksRequest,
}

impl PreviewTicks {
    pub(super) fn of_job(client: &Client, scheduled_job_id: String) -> Self {
        let request = proto::PreviewTicksRequest { scheduled_job_id, ..Default::default() };
        Self { client: client.clone(), request }
    }

    pub(super) fn of_expression(client: &Client, cron_expression: String) -> Self {
        let request = proto::PreviewTicksRequest { cron_expression, ..Default::default() };
        Self { client: client.clone(), request }
    }

    /// IANA time zone of the cron expression. Only for [`Client::preview_cron`]; default: UTC.
    pub fn timezone(mut self, timezone: impl Into<String>) -> Self {
        self.request.timezone = timezone.into();
        self
    }

    /// Ticks strictly after this instant. Default: now.
    pub fn after(mut self, instant: impl Into<Timestamp>) -> Self {
        self.request.after = Some(instant.into());
        self
    }

    /// Number of ticks, at most 1,000. Default: 10.
    pub fn count(mut self, count: u32) -> Self {
        self.request.count = pages::size(count);
        self
    }
}

impl IntoFuture for PreviewTicks {
    type Output = Result<proto::PreviewTicksResponse, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.client.raw().preview_ticks(self.request).await })
    }
}
