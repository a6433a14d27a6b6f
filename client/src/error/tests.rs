//! Errors from gRPC statuses.

use std::collections::HashMap;
use std::time::Duration;

use tonic_types::{ErrorDetails, StatusExt};

use super::*;

fn from_details(code: Code, details: ErrorDetails) -> Error {
    Error::from_status("here", tonic::Status::with_error_details(code, "No.", details))
}

fn from_reason(code: Code, reason: &str) -> Error {
    from_details(code, ErrorDetails::with_error_info(reason, "windrow", HashMap::new()))
}

#[test]
fn every_code_keeps_its_message_code_and_reason() {
    // A timeout may have expired on this side, without a message of the server.
    for code in (1..=16).map(Code::from_i32).filter(|code| *code != Code::DeadlineExceeded) {
        let error = from_reason(code, "WHY");
        assert_eq!(error.code(), code);
        assert_eq!(error.to_string(), "No.");
        assert_eq!(error.reason(), Some("WHY"), "{error:?}");
    }
}

#[test]
fn a_deadline_of_the_server_is_a_timeout() {
    let error = from_details(Code::DeadlineExceeded, ErrorDetails::new());
    assert!(matches!(&error, Error::Timeout { endpoint } if endpoint == "here"), "{error:?}");
    assert_eq!((error.code(), error.reason()), (Code::DeadlineExceeded, None));
}

#[test]
fn field_violations_and_the_retry_delay_are_read_from_the_details() {
    let details = ErrorDetails::with_bad_request_violation("a", "b");
    let error = from_details(Code::InvalidArgument, details);
    let expected = FieldViolation { field: "a".into(), description: "b".into() };
    assert_eq!(error.field_violations(), [expected]);

    let delay = Some(Duration::from_secs(3));
    let error = from_details(Code::Unavailable, ErrorDetails::with_retry_info(delay));
    assert_eq!(error.status().unwrap().retry_after, delay);
}

#[test]
fn a_watch_that_cannot_resume_has_one_of_two_errors() {
    let because = |reason| from_reason(Code::OutOfRange, reason);
    assert!(matches!(because("TOKEN_EXPIRED"), Error::TokenExpired(_)));
    assert!(matches!(because("FEED_RESET"), Error::FeedReset(_)));
    assert!(matches!(because("CURSOR_AHEAD"), Error::Status(_)));
    assert_eq!(because("TOKEN_EXPIRED").reason(), Some("TOKEN_EXPIRED"));
}

#[test]
fn a_missing_field_is_a_protocol_error_that_names_it() {
    let error = required(None::<()>, "scraping_job").unwrap_err();
    assert_eq!(error.code(), Code::Internal);
    assert_eq!(error.to_string(), "unexpected response: the field scraping_job is missing");
}
