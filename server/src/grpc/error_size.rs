//! The size of errors. Clients accept 8 KiB of headers and trailers by default and report a longer error as a
//! broken connection, so an error names at most some of its violations, and echoes of the request are cut.

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use crate::domain::violation::Violation;

/// Maximum bytes of a message. Each may take three in the header, and the details repeat it.
const MESSAGE: usize = 768;
/// Maximum bytes of a text in the details.
const TEXT: usize = 512;
/// Maximum bytes of all violations. In the header they take a third more.
const VIOLATIONS: usize = 2_048;
/// Bytes of a violation beside its texts.
const VIOLATION: usize = 8;

/// The status with a message of bounded length.
pub(super) fn to_status(code: Code, message: String, details: ErrorDetails) -> Status {
    Status::with_error_details(code, cut(message, MESSAGE), details)
}

/// A text of the details, which may be any text of the request.
pub(super) fn detail(text: String) -> String {
    cut(text, TEXT)
}

/// The first violations, and the number of the others.
pub(super) fn field_violations(violations: Vec<Violation>) -> Vec<FieldViolation> {
    let (count, mut bytes) = (violations.len(), 0);
    let mut shown = Vec::new();
    for Violation { field, description } in violations {
        let (field, description) = (detail(field), detail(description));
        bytes += VIOLATION + field.len() + description.len();
        if bytes > VIOLATIONS {
            let more = format!("and {} more violations", count - shown.len());
            shown.push(FieldViolation::new(field, more));
            break;
        }
        shown.push(FieldViolation::new(field, description));
    }
    shown
}

/// The text, shortened to at most `most` bytes with an ellipsis.
fn cut(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most - '…'.len_utf8()));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::status::invalid;

    /// Bytes of a status in trailers, with the 32 bytes that HTTP/2 counts for each header.
    fn size(status: &Status) -> usize {
        let response = status.clone().into_http::<()>();
        response.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum()
    }

    fn violations(count: usize, text: &str) -> Vec<Violation> {
        (0..count).map(|n| Violation::new(format!("locations[{n}]"), text)).collect()
    }

    #[test]
    fn an_error_with_any_number_of_violations_fits_into_the_trailers() {
        let texts = |text: &str| [(1, text.repeat(100_000)), (400, text.repeat(1_000))];
        let many = (100_000, "repeats an earlier location".to_owned());
        for (count, text) in [texts("x"), texts("ä€")].concat().into_iter().chain([many]) {
            let status = invalid(violations(count, &text));
            assert!(size(&status) < 7 * 1024, "{count}: {}", size(&status));
        }
    }

    #[test]
    fn the_last_violation_counts_the_others() {
        let shown = field_violations(violations(400, "repeats an earlier location"));
        let last = shown.last().unwrap();
        assert_eq!(last.description, format!("and {} more violations", 401 - shown.len()));
        assert_eq!(field_violations(violations(3, "is required")).len(), 3);
    }

    #[test]
    fn an_echo_of_the_request_is_cut() {
        let text = "日".repeat(1_000_000);
        let mut details = ErrorDetails::new();
        details.set_resource_info("type", detail(text.clone()), "", detail(text.clone()));
        let status = to_status(Code::NotFound, text, details);
        assert!(size(&status) < 7 * 1024, "{}", size(&status));
        assert!(status.message().ends_with('…'));
    }
}
