//! What went wrong, sorted by what the caller can do about it.

mod status;

use std::error::Error as StdError;
use std::time::Duration;

use tonic::Code;

pub(crate) use status::{is_late, is_lost, is_unsent, late, retry_after};

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
    /// The token cannot be sent in a header: it is empty or has other than visible ASCII characters.
    #[error("the token has characters that cannot be sent")]
    InvalidToken,
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
    /// No answer within the deadline. What was asked for may have happened; a call with the same request id
    /// finds out.
    #[error("Windrow at {server} did not answer in time")]
    DeadlineExceeded {
        /// The address as given.
        server: String,
    },
    /// A limit of the server is reached, for example of its watches.
    #[error("{message}")]
    ResourceExhausted {
        /// The server's sentence.
        message: String,
        /// `ErrorInfo.reason`.
        reason: Option<String>,
        /// The pause that the server asks for.
        retry_after: Option<Duration>,
    },
    /// The token is missing, wrong or too old.
    #[error("{message}")]
    Unauthenticated {
        /// The server's sentence.
        message: String,
        /// `ErrorInfo.reason`.
        reason: Option<String>,
    },
    /// The token does not permit this.
    #[error("{message}")]
    PermissionDenied {
        /// The server's sentence.
        message: String,
        /// `ErrorInfo.reason`.
        reason: Option<String>,
    },
    /// The changes after a watch's token are not kept any more: some were missed for good. Watch from the
    /// current state; see [`crate::WatchAll::resync`].
    #[error("{message}")]
    TokenExpired {
        /// The server's sentence.
        message: String,
    },
    /// The database was restored or failed over: what a watch has seen may not have happened. Watch from
    /// the current state, and forget what is not in it.
    #[error("{message}")]
    FeedReset {
        /// The server's sentence.
        message: String,
    },
    /// Everything else.
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

    /// The gRPC code. What is wrong on this side counts as `InvalidArgument`, `Connect` as `Unavailable`.
    pub fn code(&self) -> Code {
        match self {
            Self::NotFound { .. } => Code::NotFound,
            Self::InvalidServer { .. } | Self::InvalidToken | Self::InvalidArgument { .. } => {
                Code::InvalidArgument
            }
            Self::FailedPrecondition { .. } => Code::FailedPrecondition,
            Self::AlreadyExists { .. } => Code::AlreadyExists,
            Self::Aborted { .. } => Code::Aborted,
            Self::Connect { .. } | Self::Unavailable { .. } => Code::Unavailable,
            Self::DeadlineExceeded { .. } => Code::DeadlineExceeded,
            Self::ResourceExhausted { .. } => Code::ResourceExhausted,
            Self::Unauthenticated { .. } => Code::Unauthenticated,
            Self::PermissionDenied { .. } => Code::PermissionDenied,
            Self::TokenExpired { .. } | Self::FeedReset { .. } => Code::OutOfRange,
            Self::Other { code, .. } => *code,
        }
    }

    /// The stable reason for programs, from `ErrorInfo`.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::InvalidServer { .. }
            | Self::InvalidToken
            | Self::Connect { .. }
            | Self::DeadlineExceeded { .. } => None,
            Self::TokenExpired { .. } => Some("TOKEN_EXPIRED"),
            Self::FeedReset { .. } => Some("FEED_RESET"),
            Self::NotFound { reason, .. }
            | Self::InvalidArgument { reason, .. }
            | Self::FailedPrecondition { reason, .. }
            | Self::AlreadyExists { reason, .. }
            | Self::Aborted { reason, .. }
            | Self::Unavailable { reason, .. }
            | Self::ResourceExhausted { reason, .. }
            | Self::Unauthenticated { reason, .. }
            | Self::PermissionDenied { reason, .. }
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
}

#[cfg(test)]
mod tests;
