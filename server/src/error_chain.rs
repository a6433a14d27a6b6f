//! An error with all that caused it, as one line for the log.

use std::error::Error;

/// The error's text and those of its sources, from the outermost inwards.
pub(crate) fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreError;

    #[test]
    fn every_cause_is_said_once() {
        let error = crate::app::AppError::Store(StoreError::Database(sqlx::Error::PoolTimedOut));
        let text = error_chain(&error);
        assert!(text.starts_with("the database failed: the statement failed: "), "{text}");
        assert!(text.ends_with(&sqlx::Error::PoolTimedOut.to_string()), "{text}");
    }
}
