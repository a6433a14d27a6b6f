//! Errors: what the server rejected, and what went wrong on the way to it.

mod foreign;
mod status;

use std::error::Error as StdError;

use tonic::Code;

pub use status::{FieldViolation, Status};
pub(crate) use status::{is_late, is_lost, is_unsent, late, retry_after};

/// A failed call or stream. Its text is one sentence for people.
///
/// Most callers match on [`Error::code`], and on [`Error::reason`] if one code has several causes:
///
/// ```
/// use windrow_client::{Code, Error, reason};
///
/// fn advice(error: &Error) -> &'static str {
///     match (error.code(), error.reason()) {
///         (Code::NotFound, _) => "check the id",
///         (Code::FailedPrecondition, Some(reason::JOB_DELETED)) => "undelete the job first",
///         (Code::InvalidArgument, _) => "correct the fields in error.field_violations()",
///         (Code::Unavailable, _) => "try again later",
///         _ => "give up",
///     }
/// }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server rejected the call, or could not execute it.
    #[error("{0}")]
    Status(Status),
    /// The events after a resume token are no longer retained: changes were missed for good. Watch from
    /// the current state; see [`crate::WatchAll::resync`].
    #[error("{0}")]
    TokenExpired(Status),
    /// The database was restored or failed over: changes that a watch has seen may be undone. Watch from
    /// the current state, and discard every run that is not in it.
    #[error("{0}")]
    FeedReset(Status),
    /// No connection. Start the server or correct the endpoint.
    #[error("cannot reach Windrow at {endpoint}; is windrow-server running?")]
    Connect {
        /// The endpoint as given.
        endpoint: String,
        /// Error of the transport.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The connection broke during the call, and retries did not help. The call may have taken effect.
    #[error("the connection to Windrow at {endpoint} broke before its response")]
    Broken {
        /// The endpoint as given.
        endpoint: String,
        /// Error of the transport.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// Something else answered than Windrow: a proxy in front of it, or another program at this address.
    #[error("the response from {endpoint} is not one of Windrow: {description}")]
    Foreign {
        /// The endpoint as given.
        endpoint: String,
        /// The gRPC code that stands for the response.
        code: Code,
        /// The response, and what to do.
        description: String,
    },
    /// No response within the timeout. The call may have taken effect; repeat it with the same request id
    /// to find out.
    #[error("no response from Windrow at {endpoint} within the timeout")]
    Timeout {
        /// The endpoint as given.
        endpoint: String,
    },
    /// The endpoint cannot be used; correct it.
    #[error("`{endpoint}` is not a valid endpoint: {description}")]
    InvalidEndpoint {
        /// The endpoint as given.
        endpoint: String,
        /// Reason why it cannot be used.
        description: String,
    },
    /// The bearer token would be sent without TLS to another machine. Use https, or allow it with
    /// [`crate::ClientBuilder::bearer_token_over_plaintext`].
    #[error(
        "the bearer token would be sent unencrypted to {endpoint}; use https, or allow it explicitly"
    )]
    UnencryptedToken {
        /// The endpoint as given.
        endpoint: String,
    },
    /// The bearer token is empty or has characters that a header cannot carry.
    #[error("the bearer token is empty or not visible ASCII")]
    InvalidBearerToken,
    /// The server's response violates the contract: client and server have incompatible versions.
    #[error("unexpected response: {0}")]
    Protocol(String),
}

impl Error {
    /// The gRPC code. For errors of this side: `InvalidArgument` for what the caller configured,
    /// `Unavailable` for `Connect` and `Broken`, `DeadlineExceeded` for `Timeout`, `Internal` for `Protocol`.
    pub fn code(&self) -> Code {
        match self {
            Self::Status(status) | Self::TokenExpired(status) | Self::FeedReset(status) => {
                status.code
            }
            Self::Connect { .. } | Self::Broken { .. } => Code::Unavailable,
            Self::Foreign { code, .. } => *code,
            Self::Timeout { .. } => Code::DeadlineExceeded,
            Self::InvalidEndpoint { .. }
            | Self::UnencryptedToken { .. }
            | Self::InvalidBearerToken => Code::InvalidArgument,
            Self::Protocol(_) => Code::Internal,
        }
    }

    /// The stable reason: one of [`crate::reason`]. `None` for errors of this side.
    pub fn reason(&self) -> Option<&str> {
        self.status().and_then(|status| status.reason.as_deref())
    }

    /// The rejected fields; empty unless the code is `InvalidArgument`.
    pub fn field_violations(&self) -> &[FieldViolation] {
        self.status().map_or(&[], |status| &status.field_violations)
    }

    /// The server's status; `None` for errors of this side.
    pub fn status(&self) -> Option<&Status> {
        match self {
            Self::Status(status) | Self::TokenExpired(status) | Self::FeedReset(status) => {
                Some(status)
            }
            Self::Connect { .. }
            | Self::Broken { .. }
            | Self::Foreign { .. }
            | Self::Timeout { .. }
            | Self::InvalidEndpoint { .. }
            | Self::UnencryptedToken { .. }
            | Self::InvalidBearerToken
            | Self::Protocol(_) => None,
        }
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

/// A field of a response that the contract promises.
pub(crate) fn required<T>(field: Option<T>, name: &str) -> Result<T, Error> {
    field.ok_or_else(|| Error::Protocol(format!("the field {name} is missing")))
}

#[cfg(test)]
mod tests;
