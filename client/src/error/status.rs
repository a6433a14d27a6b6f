//! From a gRPC status to an [`Error`]: the only reader of the server's `google.rpc` details.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use tonic::{Code, ConnectError, TimeoutExpired};
use tonic_types::StatusExt;
use windrow::reason;

use super::{Error, foreign};

/// The server's answer to a call that it did not execute.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// The gRPC status code.
    pub code: Code,
    /// One sentence for people.
    pub message: String,
    /// The stable reason for programs: one of [`crate::reason`].
    pub reason: Option<String>,
    /// The rejected fields; empty unless the code is `InvalidArgument`.
    pub field_violations: Vec<FieldViolation>,
    /// The pause before the next call that the server asks for.
    pub retry_after: Option<Duration>,
}

/// A field that the server rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldViolation {
    /// Path of the field, for example `scheduled_job.parameters.locations`.
    pub field: String,
    /// Reason of the rejection.
    pub description: String,
}

impl Status {
    /// A status without details, for tests and stand-ins of a server.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            reason: None,
            field_violations: Vec::new(),
            retry_after: None,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl From<&tonic::Status> for Status {
    fn from(status: &tonic::Status) -> Self {
        Self {
            reason: status.get_details_error_info().map(|details| details.reason),
            field_violations: violations(status),
            retry_after: retry_after(status),
            ..Self::new(status.code(), status.message())
        }
    }
}

impl Error {
    pub(crate) fn from_status(endpoint: &str, status: tonic::Status) -> Self {
        let endpoint = || endpoint.to_owned();
        if is_unsent(&status) {
            return Self::Connect { endpoint: endpoint(), source: Box::new(status) };
        }
        // The transport made it, whatever its code.
        if is_local(&status) && !is_late(&status) {
            return Self::Broken { endpoint: endpoint(), source: Box::new(status) };
        }
        if let Some((code, description)) = foreign::description(&status) {
            return Self::Foreign { endpoint: endpoint(), code, description };
        }
        if is_late(&status) {
            return Self::Timeout { endpoint: endpoint() };
        }
        let status = Status::from(&status);
        match (status.code, status.reason.as_deref()) {
            (Code::OutOfRange, Some(reason::TOKEN_EXPIRED)) => Self::TokenExpired(status),
            (Code::OutOfRange, Some(reason::FEED_RESET)) => Self::FeedReset(status),
            _ => Self::Status(status),
        }
    }
}

/// True if the call may not have reached the server, or its response not the client.
pub(crate) fn is_lost(status: &tonic::Status) -> bool {
    // A status with a source was made by the transport on this side: a broken connection shows as
    // UNKNOWN, INTERNAL or CANCELLED there.
    let broken = matches!(status.code(), Code::Unknown | Code::Internal | Code::Cancelled);
    status.code() == Code::Unavailable
        || foreign::is_unreached(status)
        || (broken && is_local(status) && !is_late(status))
}

/// True if no server has seen the call, because there was no connection.
pub(crate) fn is_unsent(status: &tonic::Status) -> bool {
    causes(status).any(<dyn StdError>::is::<ConnectError>)
}

/// True if the timeout expired before the response. The transport's own timer says CANCELLED.
pub(crate) fn is_late(status: &tonic::Status) -> bool {
    status.code() == Code::DeadlineExceeded
        || causes(status).any(<dyn StdError>::is::<TimeoutExpired>)
}

fn causes(status: &tonic::Status) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    let first = StdError::source(status);
    std::iter::successors(first, |error: &&(dyn StdError + 'static)| (*error).source())
}

/// No response within the timeout.
pub(crate) fn late(timeout: Duration) -> tonic::Status {
    tonic::Status::deadline_exceeded(format!("no response within {} s", timeout.as_secs_f32()))
}

/// The pause that the server asks for, if any.
pub(crate) fn retry_after(status: &tonic::Status) -> Option<Duration> {
    status.get_details_retry_info().and_then(|details| details.retry_delay)
}

fn is_local(status: &tonic::Status) -> bool {
    StdError::source(status).is_some()
}

fn violations(status: &tonic::Status) -> Vec<FieldViolation> {
    let rejected = status.get_details_bad_request().map(|details| details.field_violations);
    rejected.unwrap_or_default().into_iter().map(FieldViolation::from).collect()
}

impl From<tonic_types::FieldViolation> for FieldViolation {
    fn from(detail: tonic_types::FieldViolation) -> Self {
        Self { field: detail.field, description: detail.description }
    }
}
