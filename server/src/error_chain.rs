//! An error with all of its causes in one line, for the log.

use std::error::Error;
use std::iter::successors;

use sqlx::postgres::PgDatabaseError;

/// The error and its causes.
pub(crate) fn error_chain(error: &dyn Error) -> String {
    windrow_worker::error_chain(error).replace(&line_of_postgres(error), "")
}

/// The causes of an error, from the nearest.
pub fn causes(error: &dyn Error) -> Vec<String> {
    let line = line_of_postgres(error);
    successors(error.source(), |cause| (*cause).source())
        .map(|cause| cause.to_string().replace(&line, ""))
        .collect()
}

/// What sqlx appends to an error of Postgres: a line in the source of Postgres, which readers take for one of theirs.
/// Without it, a text that no error has.
fn line_of_postgres(error: &dyn Error) -> String {
    let mut causes = successors(error.source(), |cause| (*cause).source());
    let error = causes.find_map(|cause| cause.downcast_ref::<PgDatabaseError>());
    let line = error.and_then(PgDatabaseError::line).unwrap_or_default();
    format!(" at line {line}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreError;

    #[test]
    fn every_cause_appears_once() {
        let error = crate::app::AppError::Store(StoreError::Database(sqlx::Error::PoolTimedOut));
        let text = error_chain(&error);
        assert!(text.starts_with("database error: "), "{text}");
        assert!(text.ends_with(&sqlx::Error::PoolTimedOut.to_string()), "{text}");
    }
}
