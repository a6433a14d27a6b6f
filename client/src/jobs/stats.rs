//! Statistics of a scheduled job.

use std::time::Duration;

use futures::future::BoxFuture;

use crate::{Client, Error, proto, times};

/// A call for the statistics of a scheduled job; await it. See [`Client::job_stats`].
#[derive(Clone, Debug)]
#[must_use = "a call does nothing until it is awaited"]
pub struct JobStats {
    client: Client,
    request: proto::GetScheduledJobStatsRequest,
}

impl JobStats {
    pub(super) fn new(client: &Client, scheduled_job_id: String) -> Self {
        let request = proto::GetScheduledJobStatsRequest { scheduled_job_id, window: None };
        Self { client: client.clone(), request }
    }

    /// Period up to now, 1 second to 366 days. Default: 30 days.
    pub fn window(mut self, window: Duration) -> Self {
        self.request.window = Some(times::to_proto(window));
        self
    }
}

impl IntoFuture for JobStats {
    type Output = Result<proto::GetScheduledJobStatsResponse, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.client.raw().get_scheduled_job_stats(self.request).await })
    }
}
