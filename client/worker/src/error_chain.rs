//! An error and its causes on one line, for logs and reasons.

use std::error::Error;

/// The error's text followed by the texts of its sources, outermost first, separated by `: `. A source whose
/// text already ends the text so far is left out: some libraries repeat it in their own.
pub fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::TransportError;

    #[derive(Debug, thiserror::Error)]
    #[error("the connection broke")]
    struct Broken(#[source] io::Error);

    #[derive(Debug, thiserror::Error)]
    #[error("cannot send: {0}")]
    struct Repeating(#[source] io::Error);

    #[test]
    fn every_cause_appears_once() {
        let cause = Broken(io::Error::other("reset by peer"));
        let error = TransportError::Transient(Box::new(cause));
        assert_eq!(error_chain(&error), "the connection broke: reset by peer");
        let error = Repeating(io::Error::other("reset by peer"));
        assert_eq!(error_chain(&error), "cannot send: reset by peer");
    }
}
