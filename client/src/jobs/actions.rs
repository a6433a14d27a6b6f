//! Changes of a scheduled job's status.

use futures::future::BoxFuture;
use prost_types::Timestamp;

use crate::error::required;
use crate::proto::{self, ScheduledJob};
use crate::{Client, Error};

/// A call to pause a scheduled job; await it. See [`Client::pause_job`].
#[derive(Clone, Debug)]
#[must_use = "a call does nothing until it is awaited"]
pub struct PauseJob {
    client: Client,
    request: proto::PauseScheduledJobRequest,
}

impl PauseJob {
    pub(super) fn new(client: &Client, scheduled_job_id: String) -> Self {
        let request = proto::PauseScheduledJobRequest { scheduled_job_id, ..Default::default() };
        Self { client: client.clone(), request }
    }

    /// Reason to show, up to 200 characters.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.request.reason = reason.into();
        self
    }

    /// Ends the pause at this time, which must be in the future.
    pub fn until(mut self, end: impl Into<Timestamp>) -> Self {
        self.request.paused_until = Some(end.into());
        self
    }
}

impl IntoFuture for PauseJob {
    type Output = Result<ScheduledJob, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let response = self.client.raw().pause_scheduled_job(self.request).await?;
            required(response.scheduled_job, "scheduled_job")
        })
    }
}

/// A call to resume a scheduled job; await it. See [`Client::resume_job`].
#[derive(Clone, Debug)]
#[must_use = "a call does nothing until it is awaited"]
pub struct ResumeJob {
    client: Client,
    request: proto::ResumeScheduledJobRequest,
}

impl ResumeJob {
    pub(super) fn new(client: &Client, scheduled_job_id: String) -> Self {
        let request = proto::ResumeScheduledJobRequest { scheduled_job_id, ..Default::default() };
        Self { client: client.clone(), request }
    }

    /// Applies the job's catch-up policy to the ticks of the pause, as if no server had been running.
    pub fn catch_up(mut self) -> Self {
        self.request.catch_up = true;
        self
    }
}

impl IntoFuture for ResumeJob {
    type Output = Result<ScheduledJob, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let response = self.client.raw().resume_scheduled_job(self.request).await?;
            required(response.scheduled_job, "scheduled_job")
        })
    }
}

/// A call to delete a scheduled job; await it. See [`Client::delete_job`].
#[derive(Clone, Debug)]
#[must_use = "a call does nothing until it is awaited"]
pub struct DeleteJob {
    client: Client,
    request: proto::DeleteScheduledJobRequest,
}

impl DeleteJob {
    pub(super) fn new(client: &Client, scheduled_job_id: String) -> Self {
        let request = proto::DeleteScheduledJobRequest { scheduled_job_id, ..Default::default() };
        Self { client: client.clone(), request }
    }

    /// Fails with `ABORTED` / `ETAG_MISMATCH` if the job's etag is not this one.
    pub fn etag(mut self, etag: impl Into<String>) -> Self {
        self.request.etag = etag.into();
        self
    }
}

impl IntoFuture for DeleteJob {
    type Output = Result<ScheduledJob, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let response = self.client.raw().delete_scheduled_job(self.request).await?;
            required(response.scheduled_job, "scheduled_job")
        })
    }
}
