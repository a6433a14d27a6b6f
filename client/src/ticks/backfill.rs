//! Backfills of past ticks.

use futures::future::BoxFuture;
use prost_types::Timestamp;

use crate::proto::{self, ScrapingJobPriority};
use crate::{Client, Error};

/// A call to create runs for past ticks; await it. See [`Client::backfill_job`].
#[derive(Clone, Debug)]
#[must_use = "a call does nothing until it is awaited"]
pub struct BackfillJob {
    client: Client,
    request: proto::BackfillScheduledJobRequest,
}

impl BackfillJob {
    pub(super) fn new(
        client: &Client,
        scheduled_job_id: String,
        start: Timestamp,
        end: Timestamp,
    ) -> Self {
        let request = proto::BackfillScheduledJobRequest {
            scheduled_job_id,
            start_time: Some(start),
            end_time: Some(end),
            ..Default::default()
        };
        Self { client: client.clone(), request }
    }

    /// Priority of the new runs. Default: low, so that the schedule's own runs go first.
    pub fn priority(mut self, priority: ScrapingJobPriority) -> Self {
        self.request.priority = priority.into();
        self
    }

    /// Makes calls of several processes idempotent: a UUID or up to 64 printable characters. Default: one
    /// per call.
    pub fn request_id(mut self, request_id: impl Into<String>) -> Self {
        self.request.request_id = request_id.into();
        self
    }

    /// Only validates: the call returns the ticks and their outcome as they would be.
    pub fn validate_only(mut self) -> Self {
        self.request.validate_only = true;
        self
    }
}

impl IntoFuture for BackfillJob {
    type Output = Result<proto::BackfillScheduledJobResponse, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.client.raw().backfill_scheduled_job(self.request).await })
    }
}
