//! Runs as rows: the whole of one, and its mutable fields, which an event keeps.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::types::Json;

use super::StoreError;
use super::parameters::ParametersRow;
use super::policy::PolicyRow;
use crate::domain::id::{RunId, ScheduledJobId};
use crate::domain::labels::Labels;
use crate::domain::parameters::ScrapeParameters;
use crate::domain::policy::RunPolicy;
use crate::domain::run::{Counts, FailedLocation, Lease, Origin, Priority, Progress, Run, Status};

/// A row of `scraping_job`.
#[derive(Debug, Serialize)]
pub(super) struct RunRow {
    pub(super) job_id: String,
    pub(super) scheduled_job_id: Option<String>,
    pub(super) original_job_id: Option<String>,
    pub(super) origin: String,
    pub(super) status: String,
    pub(super) priority: String,
    pub(super) rank_at: DateTime<Utc>,
    pub(super) parameters: Json<ParametersRow>,
    pub(super) policy: Json<PolicyRow>,
    pub(super) deadline_at: Option<DateTime<Utc>>,
    pub(super) requested_by: String,
    pub(super) labels: Json<Labels>,
    pub(super) tick_at: Option<DateTime<Utc>>,
    pub(super) created_at: DateTime<Utc>,
    pub(super) available_at: DateTime<Utc>,
    pub(super) queued: bool,
    pub(super) started_at: Option<DateTime<Utc>>,
    pub(super) completed_at: Option<DateTime<Utc>>,
    pub(super) cancel_requested_at: Option<DateTime<Utc>>,
    pub(super) properties_scraped: i64,
    pub(super) properties_saved: i64,
    pub(super) properties_updated: i64,
    pub(super) properties_skipped: i64,
    pub(super) properties_duplicate: i64,
    pub(super) total_locations: i32,
    pub(super) completed_locations: i32,
    pub(super) done_locations: Json<BTreeSet<i32>>,
    pub(super) failed_locations: Json<Vec<FailedLocationRow>>,
    pub(super) attempt: i32,
    pub(super) attempt_started_at: Option<DateTime<Utc>>,
    pub(super) max_attempts: i32,
    pub(super) error_message: String,
    pub(super) revision: i64,
    pub(super) worker_id: Option<String>,
    pub(super) lease_expires_at: Option<DateTime<Utc>>,
    pub(super) lease_ms: Option<i64>,
    pub(super) lease_latest_at: Option<DateTime<Utc>>,
}

/// What changes in a run, with its id.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RunState {
    job_id: String,
    status: String,
    available_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    completed_at: Option<DateTime<Utc>>,
    cancel_requested_at: Option<DateTime<Utc>>,
    properties_scraped: i64,
    properties_saved: i64,
    properties_updated: i64,
    properties_skipped: i64,
    properties_duplicate: i64,
    total_locations: i32,
    completed_locations: i32,
    done_locations: BTreeSet<i32>,
    failed_locations: Vec<FailedLocationRow>,
    attempt: i32,
    attempt_started_at: Option<DateTime<Utc>>,
    max_attempts: i32,
    error_message: String,
    revision: i64,
    worker_id: Option<String>,
    lease_expires_at: Option<DateTime<Utc>>,
    lease_ms: Option<i64>,
    lease_latest_at: Option<DateTime<Utc>>,
}

/// One entry of `failed_locations`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct FailedLocationRow {
    location: String,
    reason: String,
    permanent: bool,
}

impl From<&Run> for RunRow {
    fn from(run: &Run) -> Self {
        let state = RunState::from(run);
        Self {
            job_id: state.job_id,
            scheduled_job_id: run.scheduled_job_id.as_ref().map(ToString::to_string),
            original_job_id: run.original_job_id.as_ref().map(ToString::to_string),
            origin: run.origin.word().to_owned(),
            status: state.status,
            priority: run.priority.word().to_owned(),
            rank_at: run.rank_at(),
            parameters: Json(ParametersRow::from(&run.parameters)),
            policy: Json(PolicyRow::from(&run.policy)),
            deadline_at: run.deadline_at,
            requested_by: run.requested_by.clone(),
            labels: Json(run.labels.clone()),
            tick_at: run.tick_at,
            created_at: run.created_at,
            available_at: state.available_at,
            queued: run.queued,
            started_at: state.started_at,
            completed_at: state.completed_at,
            cancel_requested_at: state.cancel_requested_at,
            properties_scraped: state.properties_scraped,
            properties_saved: state.properties_saved,
            properties_updated: state.properties_updated,
            properties_skipped: state.properties_skipped,
            properties_duplicate: state.properties_duplicate,
            total_locations: state.total_locations,
            completed_locations: state.completed_locations,
            done_locations: Json(state.done_locations),
            failed_locations: Json(state.failed_locations),
            attempt: state.attempt,
            attempt_started_at: state.attempt_started_at,
            max_attempts: state.max_attempts,
            error_message: state.error_message,
            revision: state.revision,
            worker_id: state.worker_id,
            lease_expires_at: state.lease_expires_at,
            lease_ms: state.lease_ms,
            lease_latest_at: state.lease_latest_at,
        }
    }
}

impl From<&Run> for RunState {
    fn from(run: &Run) -> Self {
        let failed = |failed: &FailedLocation| FailedLocationRow {
            location: failed.location.clone(),
            reason: failed.reason.clone(),
            permanent: failed.permanent,
        };
        Self {
            job_id: run.id.to_string(),
            status: run.status.word().to_owned(),
            available_at: run.available_at,
            started_at: run.started_at,
            completed_at: run.completed_at,
            cancel_requested_at: run.cancel_requested_at,
            properties_scraped: run.counts.scraped,
            properties_saved: run.counts.saved,
            properties_updated: run.counts.updated,
            properties_skipped: run.counts.skipped,
            properties_duplicate: run.counts.duplicate,
            total_locations: run.progress.total_locations,
            completed_locations: run.progress.completed_locations(),
            done_locations: run.progress.done.clone(),
            failed_locations: run.progress.failed.iter().map(failed).collect(),
            attempt: run.attempt,
            attempt_started_at: run.attempt_started_at,
            max_attempts: run.max_attempts,
            error_message: run.error_message.clone(),
            revision: run.revision,
            worker_id: run.lease.as_ref().map(|lease| lease.worker_id.clone()),
            lease_expires_at: run.lease.as_ref().map(|lease| lease.expires_at),
            lease_ms: run.lease.as_ref().map(|lease| millis(lease.length)),
            lease_latest_at: run.lease.as_ref().map(|lease| lease.latest_at),
        }
    }
}

impl RunState {
    /// `run` as it was in this state.
    pub(super) fn of(self, run: &Run) -> Result<Run, StoreError> {
        let status = word(&self.job_id, "status", &self.status, Status::from_word)?;
        Ok(Run {
            status,
            available_at: self.available_at,
            started_at: self.started_at,
            completed_at: self.completed_at,
            cancel_requested_at: self.cancel_requested_at,
            counts: Counts {
                scraped: self.properties_scraped,
                saved: self.properties_saved,
                updated: self.properties_updated,
                skipped: self.properties_skipped,
                duplicate: self.properties_duplicate,
            },
            progress: Progress {
                total_locations: self.total_locations,
                done: self.done_locations,
                failed: failed_locations(self.failed_locations),
            },
            attempt: self.attempt,
            attempt_started_at: self.attempt_started_at,
            max_attempts: self.max_attempts,
            error_message: self.error_message,
            revision: self.revision,
            lease: lease(
                self.worker_id,
                self.lease_expires_at,
                self.lease_ms,
                self.lease_latest_at,
            ),
            ..run.clone()
        })
    }
}

impl TryFrom<RunRow> for Run {
    type Error = StoreError;

    fn try_from(row: RunRow) -> Result<Self, StoreError> {
        let unreadable =
            |reason: String| StoreError::unreadable("scraping_job", &row.job_id, &reason);
        let id = RunId::parse(&row.job_id).map_err(|e| unreadable(e.to_string()))?;
        let original = row.original_job_id.as_deref().map(RunId::parse).transpose();
        let scheduled = row.scheduled_job_id.as_deref().map(ScheduledJobId::parse).transpose();
        Ok(Self {
            scheduled_job_id: scheduled.map_err(|e| unreadable(e.to_string()))?,
            original_job_id: original.map_err(|e| unreadable(e.to_string()))?,
            origin: word(&row.job_id, "origin", &row.origin, Origin::from_word)?,
            status: word(&row.job_id, "status", &row.status, Status::from_word)?,
            priority: word(&row.job_id, "priority", &row.priority, Priority::from_word)?,
            parameters: ScrapeParameters::try_from(row.parameters.0).map_err(unreadable)?,
            policy: RunPolicy::try_from(row.policy.0).map_err(unreadable)?,
            deadline_at: row.deadline_at,
            requested_by: row.requested_by,
            labels: row.labels.0,
            tick_at: row.tick_at,
            created_at: row.created_at,
            available_at: row.available_at,
            queued: row.queued,
            started_at: row.started_at,
            completed_at: row.completed_at,
            cancel_requested_at: row.cancel_requested_at,
            counts: Counts {
                scraped: row.properties_scraped,
                saved: row.properties_saved,
                updated: row.properties_updated,
                skipped: row.properties_skipped,
                duplicate: row.properties_duplicate,
            },
            progress: Progress {
                total_locations: row.total_locations,
                done: row.done_locations.0,
                failed: failed_locations(row.failed_locations.0),
            },
            attempt: row.attempt,
            attempt_started_at: row.attempt_started_at,
            max_attempts: row.max_attempts,
            error_message: row.error_message,
            revision: row.revision,
            lease: lease(row.worker_id, row.lease_expires_at, row.lease_ms, row.lease_latest_at),
            id,
        })
    }
}

fn failed_locations(rows: Vec<FailedLocationRow>) -> Vec<FailedLocation> {
    let one = |row: FailedLocationRow| FailedLocation {
        location: row.location,
        reason: row.reason,
        permanent: row.permanent,
    };
    rows.into_iter().map(one).collect()
}

fn lease(
    worker_id: Option<String>,
    expires_at: Option<DateTime<Utc>>,
    length: Option<i64>,
    latest_at: Option<DateTime<Utc>>,
) -> Option<Lease> {
    let length = Duration::from_millis(u64::try_from(length?).unwrap_or(0));
    let (worker_id, expires_at, latest_at) = (worker_id?, expires_at?, latest_at?);
    Some(Lease { worker_id, expires_at, length, latest_at })
}

fn millis(length: Duration) -> i64 {
    i64::try_from(length.as_millis()).unwrap_or(i64::MAX)
}

fn word<T>(
    id: &str,
    column: &str,
    word: &str,
    parse: fn(&str) -> Option<T>,
) -> Result<T, StoreError> {
    let unknown = || StoreError::unreadable("scraping_job", id, &format!("{column} is '{word}'"));
    parse(word).ok_or_else(unknown)
}
