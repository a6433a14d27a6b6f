//! What a worker executes: sources.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// An adapter that scrapes one location at a time. Many calls may run at once.
#[async_trait]
pub trait Source: Send + Sync + 'static {
    /// The longest that one location may take. The source enforces it itself; winding down may take two
    /// seconds more.
    fn timeout(&self) -> Duration;

    /// For a source that can tell what changed since a time: every so many runs of a scheduled job read
    /// everything all the same.
    fn full_every(&self) -> Option<u32> {
        None
    }

    /// Scrapes one location into `rows`, at most `request.limit` of them.
    ///
    /// Waits while `rows` is full; that time counts towards [`Source::timeout`]. Rows sent before an
    /// error are good. Dropping the future kills what it started at once.
    async fn scrape(
        &self,
        request: ScrapeRequest,
        rows: mpsc::Sender<ScrapedRow>,
        stop: CancellationToken,
    ) -> ScrapeOutcome;
}

/// One location of one attempt, as the source is told of it.
#[derive(Clone, Debug, PartialEq)]
pub struct ScrapeRequest {
    /// The run's id.
    pub job_id: String,
    /// The attempt's number, from 1.
    pub attempt: u32,
    /// The scheduled job that made the run, if one did.
    pub scheduled_job_id: Option<String>,
    /// Why the run exists, as the API names it.
    pub origin: String,
    /// The nominal instant the run is for, if it is for one.
    pub tick_at: Option<DateTime<Utc>>,
    /// What `past_days` counts back from.
    pub reference_time: DateTime<Utc>,
    /// The location, as the user wrote it.
    pub location: String,
    /// The run's parameters as proto JSON with snake_case names, passed on unread.
    pub parameters: Value,
    /// The listing types of `parameters`; empty means the source's default.
    pub listing_types: Vec<String>,
    /// The most rows wanted from this location.
    pub limit: u32,
    /// Everything before was read by an earlier run. Sources without [`Source::full_every`] read all.
    pub changed_since: Option<DateTime<Utc>>,
}

impl ScrapeRequest {
    /// Whether the run itself set its limit, and so wants no more.
    pub fn limits_itself(&self) -> bool {
        self.parameters.get("limit").is_some()
    }

    /// What it means that the location has more listings than the limit. Without a limit of its own a run
    /// that passed over the others would take the location for complete.
    pub fn beyond_limit(&self) -> Result<(), SourceError> {
        if self.limits_itself() {
            return Ok(());
        }
        let reason = format!(
            "has more than {} listings: narrow the location, or set a limit to have no more",
            self.limit
        );
        Err(SourceError::Failed { reason, permanent: true })
    }
}

/// One listing as its source told it.
#[derive(Clone, Debug, PartialEq)]
pub struct ScrapedRow {
    /// The source's id of the property, 1 to 200 characters.
    pub property_id: String,
    /// All other fields; `property_id` is not among them. No string holds U+0000, which jsonb refuses.
    pub body: Map<String, Value>,
}

/// How the scraping of one location ended.
#[derive(Debug)]
pub struct ScrapeOutcome {
    /// Whether the location is complete.
    pub result: Result<(), SourceError>,
    /// What the source logged: the last 64 KiB, often empty. Never holds U+0000.
    pub log: String,
}

/// Why a location is not complete.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// This location failed; another may work.
    #[error("{reason}")]
    Failed {
        /// What went wrong, for the user.
        reason: String,
        /// Whether trying again is useless.
        permanent: bool,
    },
    /// The source itself cannot work, so that no location will until someone mends its settings.
    #[error("the source cannot work: {reason}")]
    Broken {
        /// What went wrong, for whoever runs the server.
        reason: String,
    },
    /// The location took longer than [`Source::timeout`].
    #[error("timed out after {}", humantime::format_duration(*after))]
    TimedOut {
        /// The time it had.
        after: Duration,
    },
    /// The caller asked to stop, or no longer receives rows.
    #[error("stopped")]
    Stopped,
}

impl SourceError {
    /// A location that may work the next time.
    pub fn failed(reason: impl Into<String>) -> Self {
        Self::Failed { reason: reason.into(), permanent: false }
    }
}
