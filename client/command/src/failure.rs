//! Why the command did not succeed, and how it says so.

use std::error::Error as StdError;
use std::io::{self, Write};

use windrow_client::Error;

use crate::text::clean;

/// An error is said once, here, on stderr.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Client(#[from] Error),
    #[error("{0}")]
    Usage(&'static str),
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
    #[error("cannot show the answer as JSON: {0}")]
    Json(String),
    #[error("{0}")]
    Refused(String),
    #[error("the server's answer has no {0}")]
    Incomplete(&'static str),
}

impl Failure {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Client(_)
            | Self::Output(_)
            | Self::Json(_)
            | Self::Refused(_)
            | Self::Incomplete(_) => 1,
        }
    }

    /// Writes the error; a reader who closed the pipe has heard enough.
    pub(crate) fn report(&self) {
        if !matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe) {
            // Nothing is left to tell if stderr is closed as well.
            io::stderr().write_all(self.text().as_bytes()).ok();
        }
    }

    fn text(&self) -> String {
        let mut lines = vec![format!("error: {self}")];
        if let Self::Client(error) = self {
            let of_field =
                |v: &windrow_client::FieldViolation| format!("  {}: {}", v.field, v.description);
            let more = error.field_violations().iter().map(of_field);
            // A single field is often all that the message says.
            lines.extend(more.filter(|line| self.to_string() != line.trim_start()));
            lines.extend(root_cause(error).map(|cause| format!("  cause: {cause}")));
        }
        // A refusal of files has a line for each of them.
        let lines = lines.iter().flat_map(|line| line.lines());
        let mut text = lines.map(clean).collect::<Vec<_>>().join("\n");
        text.push('\n');
        text
    }
}

fn root_cause(error: &Error) -> Option<String> {
    let mut cause = error.source()?;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    Some(cause.to_string())
}

#[cfg(test)]
mod tests {
    use windrow_client::{Code, FieldViolation, Status};

    use super::*;

    fn rejected(message: &str, violation: FieldViolation) -> Failure {
        let mut status = Status::new(Code::InvalidArgument, message);
        status.field_violations = vec![violation];
        Failure::Client(status.into())
    }

    #[test]
    fn each_refused_field_has_its_line() {
        let violation = FieldViolation { field: "a.b".into(), description: "is empty".into() };
        let failure = rejected("Wrong.", violation);
        assert_eq!(failure.text(), "error: Wrong.\n  a.b: is empty\n");
    }

    #[test]
    fn a_single_field_is_named_once() {
        let violation = FieldViolation { field: "a.b".into(), description: "is empty".into() };
        let failure = rejected("a.b: is empty", violation);
        assert_eq!(failure.text(), "error: a.b: is empty\n");
    }

    #[test]
    fn wrong_usage_has_its_own_exit_code() {
        assert_eq!(Failure::Usage("no").exit_code(), 2);
        assert_eq!(Failure::Incomplete("run").exit_code(), 1);
    }

    #[test]
    fn an_unreachable_server_is_named() {
        let source = Box::new(io::Error::other("refused"));
        let failure = Failure::Client(Error::Connect { endpoint: "here:1".into(), source });
        assert_eq!(
            failure.text(),
            "error: cannot reach Windrow at here:1; is windrow-server running?\n  cause: refused\n"
        );
    }
}
