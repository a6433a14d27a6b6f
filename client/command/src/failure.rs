//! Errors of the command, their text and their exit code.

use std::error::Error as StdError;
use std::io::{self, Write};

use serde_json::{Value, json};
use windrow_client::{Error, FieldViolation};

use crate::connection::probe;
use crate::output::{is_json, remark};
use crate::render::clean;

/// Rejected fields to show; an error of more is understood from its first.
const MAX_FIELDS: usize = 30;
/// Characters of a line; an error may quote all of what it rejects.
const MAX_LINE: usize = 2_000;

/// An error, reported once on stderr.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Client(#[from] Error),
    /// Something else than Windrow is at the address.
    #[error("{finding}")]
    Elsewhere { error: Box<Error>, finding: String },
    #[error("{0}")]
    Usage(&'static str),
    /// With JSON only; otherwise clap reports it.
    #[error("{}", message(.0))]
    CommandLine(clap::Error),
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
    #[error("cannot convert the response to JSON: {0}")]
    Json(String),
    #[error("{0}")]
    Refused(String),
    #[error("the response has no {0}")]
    Incomplete(&'static str),
    /// The reader of a watch closed its pipe, so that the exit code cannot say how the run ended.
    #[error("nobody reads the watch")]
    Unfollowed,
}

/// Exit code of wrong usage. With `apply --detailed-exit-code`, 2 says that there are changes.
pub(crate) fn usage_code() -> u8 {
    let is_detailed = std::env::args_os().any(|argument| argument == "--detailed-exit-code");
    if is_detailed { 1 } else { 2 }
}

impl Failure {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::CommandLine(_) => usage_code(),
            // A value that only the server can check.
            Self::Client(error) if !error.field_violations().is_empty() => usage_code(),
            // The reader has all that it wants.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            Self::Client(_)
            | Self::Unfollowed
            | Self::Elsewhere { .. }
            | Self::Output(_)
            | Self::Json(_)
            | Self::Refused(_)
            | Self::Incomplete(_) => 1,
        }
    }

    /// The error, or a better one if something else than Windrow is at the address.
    pub(crate) async fn explained(self) -> Self {
        let endpoint = match &self {
            Self::Client(
                Error::Connect { endpoint, .. }
                | Error::Broken { endpoint, .. }
                | Error::Timeout { endpoint },
            ) => endpoint.clone(),
            _ => return self,
        };
        match (probe(&endpoint).await, self) {
            (Some(finding), Self::Client(error)) => {
                Self::Elsewhere { error: Box::new(error), finding }
            }
            (_, failure) => failure,
        }
    }

    /// Writes the error, unless the reader of a pipe closed it.
    pub(crate) fn report(&self) {
        match self {
            Self::Unfollowed => return,
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => return,
            _ => {}
        }
        if is_json() || matches!(self, Self::CommandLine(_)) {
            remark(&self.object());
        } else {
            // If stderr is closed too, there is no other place for the error.
            io::stderr().write_all(self.text().as_bytes()).ok();
        }
    }

    fn text(&self) -> String {
        let mut lines = vec![format!("error: {self}")];
        if let Self::Client(error) = self {
            lines.extend(fields(error, &self.to_string()));
            lines.extend(root_cause(error).map(|cause| format!("  cause: {cause}")));
        }
        // Rejected files have one line each.
        let lines = lines.iter().flat_map(|line| line.lines());
        let mut text = lines.map(shown).collect::<Vec<_>>().join("\n");
        text.push('\n');
        text
    }

    /// Parts that do not apply are absent.
    fn object(&self) -> Value {
        let mut parts = vec![
            ("message", Some(self.to_string().into())),
            ("exit_code", Some(self.exit_code().into())),
        ];
        if let Some(error) = self.of_client() {
            let violation =
                |it: &FieldViolation| json!({ "field": it.field, "description": it.description });
            let violations: Vec<_> = error.field_violations().iter().map(violation).collect();
            parts.extend([
                ("code", Some(code(error).into())),
                ("reason", error.reason().map(Value::from)),
                ("field_violations", Some(violations).filter(|it| !it.is_empty()).map(Value::from)),
                ("cause", root_cause(error).map(Value::from)),
            ]);
        }
        let parts = parts.into_iter().filter_map(|(name, part)| Some((name.to_owned(), part?)));
        json!({ "error": Value::Object(parts.collect()) })
    }

    fn of_client(&self) -> Option<&Error> {
        match self {
            Self::Client(error) => Some(error),
            Self::Elsewhere { error, .. } => Some(error),
            Self::Usage(_)
            | Self::CommandLine(_)
            | Self::Output(_)
            | Self::Json(_)
            | Self::Refused(_)
            | Self::Incomplete(_)
            | Self::Unfollowed => None,
        }
    }
}

fn shown(line: &str) -> String {
    let mut shown = clean(line);
    if let Some((end, _)) = shown.char_indices().nth(MAX_LINE) {
        shown.truncate(end);
        shown.push('…');
    }
    shown
}

/// One line per rejected field; with a single one, the message often repeats it.
fn fields(error: &Error, message: &str) -> Vec<String> {
    let violations = error.field_violations();
    let line = |v: &FieldViolation| match v.field.as_str() {
        "" => format!("  {}", v.description),
        field => format!("  {field}: {}", v.description),
    };
    let lines = violations.iter().take(MAX_FIELDS).map(line);
    let mut lines: Vec<_> = lines.filter(|line| message != line.trim_start()).collect();
    if let Some(more) = violations.len().checked_sub(MAX_FIELDS).filter(|more| *more > 0) {
        lines.push(format!("  and {more} more"));
    }
    lines
}

/// `NOT_FOUND`, as the contract writes it.
fn code(error: &Error) -> String {
    let name = format!("{:?}", error.code());
    let word =
        |c: char| if c.is_uppercase() { format!("_{c}") } else { c.to_uppercase().collect() };
    name.chars().map(word).collect::<String>().trim_start_matches('_').to_owned()
}

/// The text of clap without its label and its hint.
fn message(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let text = text.trim().trim_start_matches("error: ");
    text.split("\n\nUsage:").next().unwrap_or_default().to_owned()
}

pub(crate) fn root_cause(error: &Error) -> Option<String> {
    let mut cause = error.source()?;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let text = cause.to_string();
    let is_unknown = text.contains("UnknownIssuer");
    Some(if is_unknown { format!("{text}; --ca-file names its authority") } else { text })
}

#[cfg(test)]
mod tests {
    use windrow_client::{Code, Status};

    use super::*;

    fn rejected(message: &str, count: usize) -> Failure {
        let violation = FieldViolation { field: "a.b".into(), description: "is empty".into() };
        let mut status = Status::new(Code::InvalidArgument, message);
        status.field_violations = vec![violation; count];
        Failure::Client(Error::Status(status))
    }

    #[test]
    fn each_rejected_field_has_its_line() {
        assert_eq!(rejected("Wrong.", 1).text(), "error: Wrong.\n  a.b: is empty\n");
    }

    #[test]
    fn a_single_field_is_named_once() {
        assert_eq!(rejected("a.b: is empty", 1).text(), "error: a.b: is empty\n");
    }

    #[test]
    fn of_many_rejected_fields_the_first_are_shown_and_the_rest_is_counted() {
        let text = rejected("Wrong.", 410).text();
        assert_eq!(text.lines().count(), 1 + MAX_FIELDS + 1);
        assert!(text.ends_with("\n  and 380 more\n"), "{text}");
    }

    #[test]
    fn an_error_is_an_object_with_its_code_and_fields() {
        let expected = json!({ "error": {
            "message": "Wrong.", "exit_code": 2, "code": "INVALID_ARGUMENT",
            "field_violations": [{ "field": "a.b", "description": "is empty" }],
        } });
        assert_eq!(rejected("Wrong.", 1).object(), expected);
        let expected = json!({ "error": { "message": "no", "exit_code": 2 } });
        assert_eq!(Failure::Usage("no").object(), expected);
    }

    #[test]
    fn wrong_usage_has_its_own_exit_code() {
        assert_eq!(Failure::Usage("no").exit_code(), 2);
        assert_eq!(rejected("Wrong.", 1).exit_code(), 2);
        assert_eq!(Failure::Incomplete("run").exit_code(), 1);
    }

    #[test]
    fn a_closed_pipe_is_an_error_only_if_the_exit_code_has_to_say_how_a_run_ended() {
        let closed = io::Error::from(io::ErrorKind::BrokenPipe);
        assert_eq!(Failure::Output(closed).exit_code(), 0);
        assert_eq!(Failure::Unfollowed.exit_code(), 1);
        assert_eq!(Failure::Output(io::Error::other("full")).exit_code(), 1);
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
