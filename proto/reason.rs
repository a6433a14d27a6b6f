//! Reasons of errors: the values of `google.rpc.ErrorInfo.reason` in the domain `windrow`.
//!
//! Reasons are stable; messages are for people and may change.

/// The domain of the reasons.
pub const DOMAIN: &str = "windrow";

/// `INVALID_ARGUMENT`: fields of the request are invalid; `BadRequest` names them.
pub const INVALID_ARGUMENT: &str = "INVALID_ARGUMENT";
/// `NOT_FOUND`: TriggerJob found neither a scheduled job nor a run with this id.
pub const JOB_NOT_FOUND: &str = "JOB_NOT_FOUND";
/// `NOT_FOUND`: the scheduled job does not exist.
pub const SCHEDULED_JOB_NOT_FOUND: &str = "SCHEDULED_JOB_NOT_FOUND";
/// `NOT_FOUND`: the run does not exist.
pub const RUN_NOT_FOUND: &str = "RUN_NOT_FOUND";
/// `NOT_FOUND`: the property does not exist.
pub const PROPERTY_NOT_FOUND: &str = "PROPERTY_NOT_FOUND";
/// `ALREADY_EXISTS`: the id of the scheduled job is or was in use.
pub const SCHEDULED_JOB_EXISTS: &str = "SCHEDULED_JOB_EXISTS";
/// `ALREADY_EXISTS`: the request id was used with a different payload.
pub const REQUEST_ID_REUSED: &str = "REQUEST_ID_REUSED";
/// `FAILED_PRECONDITION`: the scheduled job is deleted.
pub const JOB_DELETED: &str = "JOB_DELETED";
/// `FAILED_PRECONDITION`: the scheduled job is not deleted.
pub const JOB_NOT_DELETED: &str = "JOB_NOT_DELETED";
/// `FAILED_PRECONDITION`: the stored settings of the scheduled job are invalid; update them.
pub const JOB_UNREADABLE: &str = "JOB_UNREADABLE";
/// `FAILED_PRECONDITION`: the run has ended.
pub const RUN_ENDED: &str = "RUN_ENDED";
/// `FAILED_PRECONDITION`: the run has not ended yet.
pub const RUN_ACTIVE: &str = "RUN_ACTIVE";
/// `FAILED_PRECONDITION`: the run completed all its locations.
pub const NOTHING_TO_RETRY: &str = "NOTHING_TO_RETRY";
/// `FAILED_PRECONDITION`: the attempt has ended, or its lease expired or was taken away.
pub const LEASE_LOST: &str = "LEASE_LOST";
/// `ABORTED`: the scheduled job changed since its etag was read.
pub const ETAG_MISMATCH: &str = "ETAG_MISMATCH";
/// `OUT_OF_RANGE`: the run has not reached the requested revision, for example after a restore.
pub const CURSOR_AHEAD: &str = "CURSOR_AHEAD";
/// `OUT_OF_RANGE`: the events after the resume token are no longer retained.
pub const TOKEN_EXPIRED: &str = "TOKEN_EXPIRED";
/// `OUT_OF_RANGE`: the database was restored or failed over since the resume token was issued.
pub const FEED_RESET: &str = "FEED_RESET";
/// `RESOURCE_EXHAUSTED`: the server's limit on watches is reached.
pub const TOO_MANY_WATCHES: &str = "TOO_MANY_WATCHES";
/// `RESOURCE_EXHAUSTED`: too many calls are in progress, or too many of this kind wait for the database; retry after
/// `RetryInfo.retry_delay`.
pub const OVERLOADED: &str = "OVERLOADED";
/// `DEADLINE_EXCEEDED`: a message of the request did not arrive in time.
pub const REQUEST_TOO_SLOW: &str = "REQUEST_TOO_SLOW";
/// `UNAVAILABLE`: the server is shutting down.
pub const SERVER_STOPPING: &str = "SERVER_STOPPING";
/// `UNAVAILABLE`: another transaction locks a row that the call needs, and did not end in time; retry.
pub const ROW_LOCKED: &str = "ROW_LOCKED";
/// `UNAVAILABLE`: the server cannot reach its database.
pub const DATABASE_UNAVAILABLE: &str = "DATABASE_UNAVAILABLE";
/// `INTERNAL`: a defect of the server; its log has the error under the request id of the message.
pub const INTERNAL: &str = "INTERNAL";

/// Every reason, in the order above.
pub const ALL: &[&str] = &[
    INVALID_ARGUMENT,
    JOB_NOT_FOUND,
    SCHEDULED_JOB_NOT_FOUND,
    RUN_NOT_FOUND,
    PROPERTY_NOT_FOUND,
    SCHEDULED_JOB_EXISTS,
    REQUEST_ID_REUSED,
    JOB_DELETED,
    JOB_NOT_DELETED,
    JOB_UNREADABLE,
    RUN_ENDED,
    RUN_ACTIVE,
    NOTHING_TO_RETRY,
    LEASE_LOST,
    ETAG_MISMATCH,
    CURSOR_AHEAD,
    TOKEN_EXPIRED,
    FEED_RESET,
    TOO_MANY_WATCHES,
    OVERLOADED,
    REQUEST_TOO_SLOW,
    SERVER_STOPPING,
    ROW_LOCKED,
    DATABASE_UNAVAILABLE,
    INTERNAL,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::ALL;

    #[test]
    fn every_reason_in_the_comments_of_the_contract_is_listed() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/proto/windrow/v1");
        let mut named = BTreeSet::new();
        for file in fs::read_dir(folder).unwrap() {
            let text = fs::read_to_string(file.unwrap().path()).unwrap();
            let words: Vec<_> = text.split_whitespace().filter(|word| *word != "//").collect();
            // Comments name reasons as `NOT_FOUND / RUN_NOT_FOUND`.
            for three in words.windows(3).filter(|three| three[1] == "/") {
                let reason = three[2].trim_matches(|c: char| !c.is_alphabetic());
                let is_reason = |c: char| c == '_' || c.is_ascii_uppercase();
                if reason.contains('_') && reason.chars().all(is_reason) {
                    named.insert(reason.to_owned());
                }
            }
        }
        assert!(named.contains("RUN_NOT_FOUND"), "{named:?}");
        for reason in named {
            assert!(ALL.contains(&&*reason), "{reason} is not listed");
        }
    }

    #[test]
    fn every_reason_is_listed_once() {
        assert_eq!(ALL.iter().collect::<BTreeSet<_>>().len(), ALL.len());
    }
}
