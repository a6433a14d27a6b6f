//! What went wrong, sorted by what the caller can do about it.
//!
//! The server's `google.rpc` details are read here and nowhere else: reason, field violations, and
//! when to try again.

use std::error::Error as StdError;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::StatusExt;

/// A call that failed. The text is the server's sentence, fit for people.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address cannot be used at all; correct it.
    #[error("`{server}` is not a server address: {description}")]
    InvalidServer {
        /// The address as given.
        server: String,
        /// What is wrong with it.
        description: String,
    },
    /// No connection, or it was lost for good; start the server or correct the address.
    #[error("cannot reach Windrow at {server}; is windrow-server running?")]
    Connect {
        /// The address as given.
        server: String,
        /// What the transport said.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// There is no such job or run.
    #[error("{message}")]
    NotFound {
        /// The server's sentence.
        message: String,
        /// `ErrorInfo.reason`, for example `JOB_NOT_FOUND`.
        reason: Option<String>,
    },
    /// The request is wrong; nothing was changed.
    #[error("{message}")]
    InvalidArgument {
        /// The server's sentence.
        message: String,
        /// `ErrorInfo.reason`.
        reason: Option<String>,
        /// Which fields, and why.
        field_violations: Vec<FieldViolation>,
    },
    /// Not in this state, for example cancelling a run that has ended.
    #[error("{message}")]
    FailedPrecondition {
        /// The server's sentence.
        message: String,
        /// `ErrorInfo.reason`, for example `JOB_DELETED`.
        reason: Option<String>,
    },
    /// The id, or the request id with another payload, was used before.
    #[error("{message}")]
    AlreadyExists {
        /// The server's sentence.
        message: String,
        /// `ErrorInfo.reason`, for example `REQUEST_ID_REUSED`.
        reason: Option<String>,
    },
    /// Somebody else changed it in between: read again, then decide again.
    #[error("{message}")]
    Aborted {
        /// The server's sentence.
        message: String,
        /// `ErrorInfo.reason`, for example `ETAG_MISMATCH`.
        reason: Option<String>,
    },
    /// The server cannot answer now; try again later.
    #[error("{message}")]
    Unavailable {
        /// The server's sentence.
        message: String,
        /// `ErrorInfo.reason`.
        reason: Option<String>,
        /// The pause that the server asks for.
        retry_after: Option<Duration>,
    },
    /// Everything else, the deadline included.
    #[error("{message}")]
    Other {
        /// The gRPC code.
        code: Code,
        /// The server's sentence.
        message: String,
        /// `ErrorInfo.reason`.
        reason: Option<String>,
    },
}

/// A field that the server refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldViolation {
    /// The field's path, for example `scheduled_job.parameters.locations`.
    pub field: String,
    /// Why it was refused.
    pub description: String,
}

impl Error {
    /// The sentence for people.
    pub fn message(&self) -> String {
        self.to_string()
    }

    /// The gRPC code. `InvalidServer` counts as `InvalidArgument`, `Connect` as `Unavailable`.
    pub fn code(&self) -> Code {
        match self {
            Self::NotFound { .. } => Code::NotFound,
            Self::InvalidServer { .. } | Self::InvalidArgument { .. } => Code::InvalidArgument,
            Self::FailedPrecondition { .. } => Code::FailedPrecondition,
            Self::AlreadyExists { .. } => Code::AlreadyExists,
            Self::Aborted { .. } => Code::Aborted,
            Self::Connect { .. } | Self::Unavailable { .. } => Code::Unavailable,
            Self::Other { code, .. } => *code,
        }
    }

    /// The stable reason for programs, from `ErrorInfo`.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::InvalidServer { .. } | Self::Connect { .. } => None,
            Self::NotFound { reason, .. }
            | Self::InvalidArgument { reason, .. }
            | Self::FailedPrecondition { reason, .. }
            | Self::AlreadyExists { reason, .. }
            | Self::Aborted { reason, .. }
            | Self::Unavailable { reason, .. }
            | Self::Other { reason, .. } => reason.as_deref(),
        }
    }

    /// The refused fields; empty unless the request was wrong.
    pub fn field_violations(&self) -> &[FieldViolation] {
        if let Self::InvalidArgument { field_violations, .. } = self {
            field_violations
        } else {
            &[]
        }
    }

    pub(crate) fn from_status(server: &str, status: Status) -> Self {
        if is_lost(&status) && is_local(&status) {
            return Self::Connect { server: server.to_owned(), source: Box::new(status) };
        }
        let message = status.message().to_owned();
        let reason = status.get_details_error_info().map(|details| details.reason);
        match status.code() {
            Code::NotFound => Self::NotFound { message, reason },
            Code::InvalidArgument => {
                Self::InvalidArgument { message, reason, field_violations: violations(&status) }
            }
            Code::FailedPrecondition => Self::FailedPrecondition { message, reason },
            Code::AlreadyExists => Self::AlreadyExists { message, reason },
            Code::Aborted => Self::Aborted { message, reason },
            Code::Unavailable => {
                Self::Unavailable { message, reason, retry_after: retry_after(&status) }
            }
            code => Self::Other { code, message, reason },
        }
    }
}

/// Whether the call may not have reached the server, or its answer may not have reached us.
pub(crate) fn is_lost(status: &Status) -> bool {
    // A status with a source was made by the transport on this side: a broken connection shows as
    // UNKNOWN or INTERNAL there. CANCELLED is our own deadline.
    let broken = matches!(status.code(), Code::Unknown | Code::Internal) && is_local(status);
    status.code() == Code::Unavailable || broken
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

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic_types::ErrorDetails;

    use super::*;

    fn mapped(code: Code, details: ErrorDetails) -> Error {
        Error::from_status("here", Status::with_error_details(code, "No.", details))
    }

    #[test]
    fn every_code_keeps_its_message_code_and_reason() {
        for number in 1..=16 {
            let code = Code::from_i32(number);
            let details = ErrorDetails::with_error_info("WHY", "windrow", HashMap::new());
            let error = mapped(code, details);
            assert_eq!(error.code(), code);
            assert_eq!(error.message(), "No.");
            assert_eq!(error.reason(), Some("WHY"), "{error:?}");
        }
    }

    #[test]
    fn codes_that_a_caller_can_act_on_have_their_variant() {
        let plain = |code| mapped(code, ErrorDetails::new());
        assert!(matches!(plain(Code::NotFound), Error::NotFound { .. }));
        assert!(matches!(plain(Code::FailedPrecondition), Error::FailedPrecondition { .. }));
        assert!(matches!(plain(Code::AlreadyExists), Error::AlreadyExists { .. }));
        assert!(matches!(plain(Code::Aborted), Error::Aborted { .. }));
        assert!(matches!(plain(Code::DeadlineExceeded), Error::Other { .. }));
        assert_eq!(plain(Code::Internal).reason(), None);
    }

    #[test]
    fn field_violations_and_the_pause_are_read_from_the_details() {
        let error =
            mapped(Code::InvalidArgument, ErrorDetails::with_bad_request_violation("a", "b"));
        let expected = FieldViolation { field: "a".into(), description: "b".into() };
        assert_eq!(error.field_violations(), [expected]);

        let pause = Duration::from_secs(3);
        let error = mapped(Code::Unavailable, ErrorDetails::with_retry_info(Some(pause)));
        assert!(matches!(error, Error::Unavailable { retry_after: Some(p), .. } if p == pause));
    }
}
