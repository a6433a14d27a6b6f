//! Conversion of errors to gRPC statuses with `google.rpc` details.
//!
//! All statuses of the server are made here, so that every error has a stable reason.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::ErrorDetails;
use tracing::{debug, error};
use windrow::reason;
use windrow_worker::Outage;

use super::error_size::{detail, field_violations, to_status};
use crate::app::{AppError, WatchError};
use crate::domain::violation::Violation;
use crate::error_chain::error_chain;

/// Retry delay that UNAVAILABLE suggests. A database restarts in about this time.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Calls that were rejected because of the database, of all servers in this process. A call each would be a line
/// each, and all would say the same.
static OUTAGE: Mutex<Outage> = Mutex::new(Outage::new("use the database for calls"));
/// Time without a rejected call after which the database counts as working again.
const SETTLED: Duration = Duration::from_secs(10);

/// Logs the end of an outage of the database. To be called now and then.
pub(super) fn settle_outage() {
    OUTAGE.lock().unwrap_or_else(PoisonError::into_inner).settle(SETTLED);
}

/// The status for the error of a use case.
pub(super) fn status(error: AppError) -> Status {
    let message = error.to_string();
    match error {
        AppError::Invalid(violations) => invalid(violations),
        AppError::JobNotFound(id) => not_found(message, reason::JOB_NOT_FOUND, "Job", id),
        AppError::ScheduledJobNotFound(id) => {
            not_found(message, reason::SCHEDULED_JOB_NOT_FOUND, "ScheduledJob", id.to_string())
        }
        AppError::RunNotFound(id) => {
            not_found(message, reason::RUN_NOT_FOUND, "ScrapingJob", id.to_string())
        }
        AppError::PropertyNotFound { ref property_id, .. } => {
            let id = property_id.clone();
            not_found(message, reason::PROPERTY_NOT_FOUND, "Property", id)
        }
        AppError::JobDeleted(_) => {
            with_reason(Code::FailedPrecondition, message, reason::JOB_DELETED)
        }
        AppError::JobUnreadable(_) => {
            with_reason(Code::FailedPrecondition, message, reason::JOB_UNREADABLE)
        }
        AppError::JobNotDeleted(_) => {
            with_reason(Code::FailedPrecondition, message, reason::JOB_NOT_DELETED)
        }
        AppError::RunEnded(_) => with_reason(Code::FailedPrecondition, message, reason::RUN_ENDED),
        AppError::ScheduledJobExists(_) => {
            with_reason(Code::AlreadyExists, message, reason::SCHEDULED_JOB_EXISTS)
        }
        AppError::RequestIdReused(_) => {
            with_reason(Code::AlreadyExists, message, reason::REQUEST_ID_REUSED)
        }
        AppError::EtagMismatch { .. } => with_reason(Code::Aborted, message, reason::ETAG_MISMATCH),
        AppError::RunActive(_) => {
            with_reason(Code::FailedPrecondition, message, reason::RUN_ACTIVE)
        }
        AppError::NothingToRetry(_) => {
            with_reason(Code::FailedPrecondition, message, reason::NOTHING_TO_RETRY)
        }
        AppError::LeaseLost { .. } => {
            with_reason(Code::FailedPrecondition, message, reason::LEASE_LOST)
        }
        AppError::Overloaded => overloaded(&message),
        AppError::Watch(error) => watch_status(error),
        AppError::TooManyWatches(_) => {
            with_reason(Code::ResourceExhausted, message, reason::TOO_MANY_WATCHES)
        }
        AppError::Store(store) if store.is_locked() => {
            unavailable(&store.to_string(), reason::ROW_LOCKED)
        }
        AppError::Store(store) if store.is_transient() => {
            if store.is_unavailable() {
                OUTAGE.lock().unwrap_or_else(PoisonError::into_inner).failed(&store);
            } else {
                debug!(error = error_chain(&store), "Rejected a call with UNAVAILABLE");
            }
            unavailable(store.summary(), reason::DATABASE_UNAVAILABLE)
        }
        AppError::Store(_) => internal(&error),
    }
}

fn watch_status(error: WatchError) -> Status {
    let message = error.to_string();
    match error {
        WatchError::NotFound(id) => status(AppError::RunNotFound(id)),
        WatchError::CursorAhead { .. } => {
            with_reason(Code::OutOfRange, message, reason::CURSOR_AHEAD)
        }
        WatchError::InvalidToken(_) => invalid(vec![Violation::new("resume_token", message)]),
        WatchError::Expired => with_reason(Code::OutOfRange, message, reason::TOKEN_EXPIRED),
        WatchError::FeedReset => with_reason(Code::OutOfRange, message, reason::FEED_RESET),
        WatchError::Stopping => unavailable(&message, reason::SERVER_STOPPING),
        WatchError::Store(error) => status(AppError::Store(error)),
    }
}

/// INVALID_ARGUMENT with all violations; the message names the first one.
pub(super) fn invalid(violations: Vec<Violation>) -> Status {
    let message = match violations.first() {
        Some(Violation { field, description }) => format!("{field}: {description}"),
        None => "the request is invalid".to_owned(),
    };
    let mut details = details(reason::INVALID_ARGUMENT);
    details.set_bad_request(field_violations(violations));
    to_status(Code::InvalidArgument, message, details)
}

/// UNAVAILABLE with a suggested retry delay.
pub(super) fn unavailable(message: &str, reason: &str) -> Status {
    let mut details = details(reason);
    details.set_retry_info(Some(RETRY_DELAY));
    to_status(Code::Unavailable, message.to_owned(), details)
}

/// DEADLINE_EXCEEDED for a message of a request.
pub(super) fn too_slow(limit: Duration) -> Status {
    let limit = humantime::format_duration(limit);
    let message = format!("a message of the request did not arrive within {limit}");
    with_reason(Code::DeadlineExceeded, message, reason::REQUEST_TOO_SLOW)
}

/// RESOURCE_EXHAUSTED with a suggested retry delay.
pub(super) fn overloaded(message: &str) -> Status {
    let mut details = details(reason::OVERLOADED);
    details.set_retry_info(Some(RETRY_DELAY));
    to_status(Code::ResourceExhausted, message.to_owned(), details)
}

fn not_found(message: String, reason: &str, kind: &str, name: String) -> Status {
    let mut details = details(reason);
    let (name, description) = (detail(name), detail(message.clone()));
    details.set_resource_info(format!("windrow.v1.{kind}"), name, "", description);
    to_status(Code::NotFound, message, details)
}

fn with_reason(code: Code, message: String, reason: &str) -> Status {
    to_status(code, message, details(reason))
}

/// INTERNAL. The caller gets a request id, under which the log has the error.
fn internal(error: &AppError) -> Status {
    let id = uuid::Uuid::now_v7().to_string();
    error!(request.id = %id, error = error_chain(error), "Internal error in request {id}");
    let mut details = details(reason::INTERNAL);
    details.set_request_info(id.clone(), "");
    to_status(Code::Internal, format!("internal error (request {id})"), details)
}

fn details(reason: &str) -> ErrorDetails {
    ErrorDetails::with_error_info(reason, reason::DOMAIN, HashMap::new())
}

/// Prefixes the field paths of violations with the path of their message in the request.
pub(super) fn within(parent: &'static str) -> impl Fn(AppError) -> AppError {
    move |error| match error {
        AppError::Invalid(violations) => {
            AppError::Invalid(violations.into_iter().map(|v| v.within(parent)).collect())
        }
        other => other,
    }
}
