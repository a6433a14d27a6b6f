//! From a gRPC status to an [`Error`]: the only reader of the server's `google.rpc` details.

use std::error::Error as StdError;
use std::time::Duration;

use tonic::{Code, ConnectError, Status, TimeoutExpired};
use tonic_types::StatusExt;

use super::{Error, FieldViolation};

impl Error {
    pub(crate) fn from_status(server: &str, status: Status) -> Self {
        if is_lost(&status) && is_local(&status) {
            return Self::Connect { server: server.to_owned(), source: Box::new(status) };
        }
        if is_late(&status) {
            return Self::DeadlineExceeded { server: server.to_owned() };
        }
        let message = status.message().to_owned();
        let reason = status.get_details_error_info().map(|details| details.reason);
        match (status.code(), reason.as_deref()) {
            (Code::OutOfRange, Some("TOKEN_EXPIRED")) => Self::TokenExpired { message },
            (Code::OutOfRange, Some("FEED_RESET")) => Self::FeedReset { message },
            (code, _) => Self::from_code(code, message, reason, &status),
        }
    }

    fn from_code(code: Code, message: String, reason: Option<String>, status: &Status) -> Self {
        match code {
            Code::NotFound => Self::NotFound { message, reason },
            Code::InvalidArgument => {
                Self::InvalidArgument { message, reason, field_violations: violations(status) }
            }
            Code::FailedPrecondition => Self::FailedPrecondition { message, reason },
            Code::AlreadyExists => Self::AlreadyExists { message, reason },
            Code::Aborted => Self::Aborted { message, reason },
            Code::Unauthenticated => Self::Unauthenticated { message, reason },
            Code::PermissionDenied => Self::PermissionDenied { message, reason },
            Code::ResourceExhausted => {
                Self::ResourceExhausted { message, reason, retry_after: retry_after(status) }
            }
            Code::Unavailable => {
                Self::Unavailable { message, reason, retry_after: retry_after(status) }
            }
            code => Self::Other { code, message, reason },
        }
    }
}

/// Whether the call may not have reached the server, or its answer may not have reached us.
pub(crate) fn is_lost(status: &Status) -> bool {
    // A status with a source was made by the transport on this side: a broken connection shows as
    // UNKNOWN, INTERNAL or CANCELLED there.
    let broken = matches!(status.code(), Code::Unknown | Code::Internal | Code::Cancelled);
    status.code() == Code::Unavailable || (broken && is_local(status) && !is_late(status))
}

/// Whether no server has seen the call: there was no connection to send it over.
pub(crate) fn is_unsent(status: &Status) -> bool {
    causes(status).any(<dyn StdError>::is::<ConnectError>)
}

/// Whether the deadline came before the answer. The transport's own timer says CANCELLED.
pub(crate) fn is_late(status: &Status) -> bool {
    status.code() == Code::DeadlineExceeded
        || causes(status).any(<dyn StdError>::is::<TimeoutExpired>)
}

fn causes(status: &Status) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    let first = StdError::source(status);
    std::iter::successors(first, |error: &&(dyn StdError + 'static)| (*error).source())
}

/// No answer within the deadline.
pub(crate) fn late(deadline: Duration) -> Status {
    Status::deadline_exceeded(format!("no answer within {} s", deadline.as_secs_f32()))
}

/// The pause that the server asks for, if any.
pub(crate) fn retry_after(status: &Status) -> Option<Duration> {
    status.get_details_retry_info().and_then(|details| details.retry_delay)
}

fn is_local(status: &Status) -> bool {
    StdError::source(status).is_some()
}

fn violations(status: &Status) -> Vec<FieldViolation> {
    let refused = status.get_details_bad_request().map(|details| details.field_violations);
    refused.unwrap_or_default().into_iter().map(FieldViolation::from).collect()
}

impl From<tonic_types::FieldViolation> for FieldViolation {
    fn from(detail: tonic_types::FieldViolation) -> Self {
        Self { field: detail.field, description: detail.description }
    }
}
