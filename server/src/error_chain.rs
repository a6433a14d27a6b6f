//! An error with all of its causes in one line, for the log.

pub(crate) use windrow_worker::error_chain;

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
