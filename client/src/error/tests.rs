//! Statuses and what becomes of them.

use std::collections::HashMap;

use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt};

use super::*;

fn mapped(code: Code, details: ErrorDetails) -> Error {
    Error::from_status("here", Status::with_error_details(code, "No.", details))
}

#[test]
fn every_code_keeps_its_message_code_and_reason() {
    // A deadline has nobody's sentence: it may have come on this side.
    for code in (1..=16).map(Code::from_i32).filter(|code| *code != Code::DeadlineExceeded) {
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
    assert!(matches!(plain(Code::DeadlineExceeded), Error::DeadlineExceeded { .. }));
    assert!(matches!(plain(Code::ResourceExhausted), Error::ResourceExhausted { .. }));
    assert!(matches!(plain(Code::Unauthenticated), Error::Unauthenticated { .. }));
    assert!(matches!(plain(Code::PermissionDenied), Error::PermissionDenied { .. }));
    assert!(matches!(plain(Code::OutOfRange), Error::Other { .. }));
    assert_eq!(plain(Code::Internal).reason(), None);
}

#[test]
fn field_violations_and_the_pause_are_read_from_the_details() {
    let error = mapped(Code::InvalidArgument, ErrorDetails::with_bad_request_violation("a", "b"));
    let expected = FieldViolation { field: "a".into(), description: "b".into() };
    assert_eq!(error.field_violations(), [expected]);

    let pause = Duration::from_secs(3);
    let error = mapped(Code::Unavailable, ErrorDetails::with_retry_info(Some(pause)));
    assert!(matches!(error, Error::Unavailable { retry_after: Some(p), .. } if p == pause));
}

#[test]
fn a_watch_that_cannot_go_on_says_which_of_the_two_it_is() {
    let because = |reason| {
        let details = ErrorDetails::with_error_info(reason, "windrow", HashMap::new());
        mapped(Code::OutOfRange, details)
    };
    assert!(matches!(because("TOKEN_EXPIRED"), Error::TokenExpired { .. }));
    assert!(matches!(because("FEED_RESET"), Error::FeedReset { .. }));
    assert!(matches!(because("CURSOR_AHEAD"), Error::Other { .. }));
    assert_eq!(because("TOKEN_EXPIRED").reason(), Some("TOKEN_EXPIRED"));
}
