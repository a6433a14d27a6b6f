//! Requests and leases for tests.

use std::time::Duration;

use chrono::DateTime;
use serde_json::{Value, json};

use crate::attempt::{AttemptId, LeasedRun};
use crate::task::ScrapeRequest;

pub(crate) fn request() -> ScrapeRequest {
    ScrapeRequest {
        job_id: "run".to_owned(),
        attempt: 1,
        scheduled_job_id: None,
        origin: "triggered".to_owned(),
        tick_at: None,
        reference_time: DateTime::UNIX_EPOCH,
        location: "a".to_owned(),
        parameters: json!({}),
        listing_types: Vec::new(),
        limit: 10_000,
        changed_since: None,
    }
}

pub(crate) fn leased_run() -> LeasedRun {
    LeasedRun {
        id: AttemptId { job_id: "run".to_owned(), attempt: 1 },
        source: "mls".to_owned(),
        locations: vec!["a".to_owned()],
        request_delay: Duration::ZERO,
        scraped: 0,
        expires_in: Duration::from_secs(20),
        attempt_expires_in: Duration::from_mins(1),
        scheduled_job_id: None,
        origin: "triggered".to_owned(),
        tick_at: None,
        reference_time: DateTime::UNIX_EPOCH,
        parameters: Value::Null,
        listing_types: Vec::new(),
        limit: 10,
    }
}
