//! Errors of the command, their text and their exit code.

use std::error::Error as StdError;
use std::io::{self, Write};

use windrow_client::Error;

use crate::render::clean;

/// An error, reported once on stderr.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Client(#[from] Error),
    #[error("{0}")]
    Usage(&'static str),
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
    #[error("cannot convert the response to JSON: {0}")]
    Json(String),
    #[error("{0}")]
    Refused(String),
    #[error("the response has no {0}")]
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

    /// Writes the error, unless the reader of a pipe closed it.
    pub(crate) fn report(&self) {
        if !matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe) {
            // If stderr is closed too, there is no other place for the error.
            io::stderr().write_all(self.text().as_bytes()).ok();
        }
    }

    fn text(&self) -> String {
        let mut lines = vec![format!("error: {self}")];
        if let Self::Client(error) = self {
            let field =
                |v: &windrow_client::FieldViolation| format!("  {}: {}", v.field, v.description);
            let more = error.field_violations().iter().map(field);
            // With a single field, the message often repeats it.
            lines.extend(more.filter(|line| self.to_string() != line.trim_start()));
            lines.extend(root_cause(error).map(|cause| format!("  cause: {cause}")));
        }
        // Rejected files have one line each.
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

    fn rejected(message: &str) -> Failure {
        let violation = FieldViolation { field: "a.b".into(), description: "is empty".into() };
        let mut status = Status::new(Code::InvalidArgument, message);
        status.field_violations = vec![violation];
        Failure::Client(Error::Status(status))
    }

    #[test]
    fn each_rejected_field_has_its_line() {
        assert_eq!(rejected("Wrong.").text(), "error: Wrong.\n  a.b: is empty\n");
    }

    #[test]
    fn a_single_field_is_named_once() {
        assert_eq!(rejected("a.b: is empty").text(), "error: a.b: is empty\n");
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
