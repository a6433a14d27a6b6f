//! Runs as rows. [`RunRow`] is a whole run, in two halves like [`Run`]: a [`SpecRow`], and a
//! [`StateRow`], which is also the body of an event.
//!
//! Both halves travel as JSON in either direction, so a column is named here only: in
//! [`with_run_columns`], in its row, and in the row's two conversions.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::types::Json;

use super::StoreError;
use crate::domain::id::{RunId, ScheduledJobId};
use crate::domain::labels::Labels;
use crate::domain::parameters::ScrapeParameters;
use crate::domain::policy::RunPolicy;
use crate::domain::run::{Counts, FailedLocation, Lease, Progress, Run, RunSpec, RunState};

/// Passes the columns of `scraping_job` to the macro `$query`, as two literals before its arguments:
/// those of a spec, and those of a state without the key. `query!` accepts no constants.
macro_rules! with_run_columns {
    ($query:ident $($arguments:tt)*) => {
        $query!(
            "scheduled_job_id, original_job_id, origin, priority, rank_at, parameters, policy, deadline_at, \
             requested_by, labels, tick_at, created_at, queued",
            "status, available_at, started_at, completed_at, cancel_requested_at, properties_scraped, \
             properties_saved, properties_updated, properties_skipped, properties_duplicate, total_locations, \
             completed_locations, done_locations, failed_locations, attempt, attempt_started_at, max_attempts, \
             error_message, revision, worker_id, lease_expires_at, lease_ms, lease_latest_at"
            $($arguments)*
        )
    };
}

pub(super) use with_run_columns;

/// A row of `scraping_job`.
#[derive(Debug, Serialize, sqlx::FromRow)]
pub(super) struct RunRow {
    #[serde(flatten)]
    pub(super) spec: Json<SpecRow>,
    #[serde(flatten)]
    pub(super) state: Json<StateRow>,
}

/// The columns that never change.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SpecRow {
    scheduled_job_id: Option<String>,
    original_job_id: Option<String>,
    origin: String,
    priority: String,
    rank_at: DateTime<Utc>,
    parameters: ScrapeParameters,
    policy: RunPolicy,
    deadline_at: Option<DateTime<Utc>>,
    requested_by: String,
    labels: Labels,
    tick_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    queued: bool,
}

/// The key and the columns that change. The body of an event lacks fields with their initial value.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StateRow {
    job_id: String,
    status: String,
    available_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    completed_at: Option<DateTime<Utc>>,
    cancel_requested_at: Option<DateTime<Utc>>,
    #[serde(default)]
    properties_scraped: i64,
    #[serde(default)]
    properties_saved: i64,
    #[serde(default)]
    properties_updated: i64,
    #[serde(default)]
    properties_skipped: i64,
    #[serde(default)]
    properties_duplicate: i64,
    #[serde(default)]
    total_locations: i32,
    #[serde(default)]
    completed_locations: i32,
    #[serde(default)]
    done_locations: BTreeSet<i32>,
    #[serde(default)]
    failed_locations: Vec<FailedLocationRow>,
    #[serde(default)]
    attempt: i32,
    attempt_started_at: Option<DateTime<Utc>>,
    max_attempts: i32,
    #[serde(default)]
    error_message: String,
    revision: i64,
    worker_id: Option<String>,
    lease_expires_at: Option<DateTime<Utc>>,
    lease_ms: Option<i64>,
    lease_latest_at: Option<DateTime<Utc>>,
}

/// One entry of `failed_locations`.
#[derive(Debug, Serialize, Deserialize)]
struct FailedLocationRow {
    location: String,
    reason: String,
    permanent: bool,
}

impl From<&Run> for RunRow {
    fn from(run: &Run) -> Self {
        Self { spec: Json(SpecRow::from(&*run.spec)), state: Json(StateRow::from(run)) }
    }
}

impl From<&RunSpec> for SpecRow {
    fn from(spec: &RunSpec) -> Self {
        Self {
            scheduled_job_id: spec.scheduled_job_id.as_ref().map(ToString::to_string),
            original_job_id: spec.original_job_id.as_ref().map(ToString::to_string),
            origin: spec.origin.into_str().to_owned(),
            priority: spec.priority.into_str().to_owned(),
            rank_at: spec.rank_at(),
            parameters: spec.parameters.clone(),
            policy: spec.policy.clone(),
            deadline_at: spec.deadline_at,
            requested_by: spec.requested_by.clone(),
            labels: spec.labels.clone(),
            tick_at: spec.tick_at,
            created_at: spec.created_at,
            queued: spec.queued,
        }
    }
}

impl From<&Run> for StateRow {
    fn from(Run { spec, state }: &Run) -> Self {
        Self {
            job_id: spec.id.to_string(),
            status: state.status.into_str().to_owned(),
            available_at: state.available_at,
            started_at: state.started_at,
            completed_at: state.completed_at,
            cancel_requested_at: state.cancel_requested_at,
            properties_scraped: state.counts.scraped,
            properties_saved: state.counts.saved,
            properties_updated: state.counts.updated,
            properties_skipped: state.counts.skipped,
            properties_duplicate: state.counts.duplicate,
            total_locations: state.progress.total_locations,
            completed_locations: state.progress.completed_locations(),
            done_locations: state.progress.done.clone(),
            failed_locations: state.progress.failed.iter().map(FailedLocationRow::from).collect(),
            attempt: state.attempt,
            attempt_started_at: state.attempt_started_at,
            max_attempts: state.max_attempts,
            error_message: state.error_message.clone(),
            revision: state.revision,
            worker_id: state.lease.as_ref().map(|lease| lease.worker_id.clone()),
            lease_expires_at: state.lease.as_ref().map(|lease| lease.expires_at),
            lease_ms: state.lease.as_ref().map(|lease| millis(lease.length)),
            lease_latest_at: state.lease.as_ref().map(|lease| lease.latest_at),
        }
    }
}

impl TryFrom<RunRow> for Run {
    type Error = StoreError;

    fn try_from(RunRow { spec, state }: RunRow) -> Result<Self, StoreError> {
        let spec = Arc::new(spec.0.read(&state.job_id)?);
        Ok(Self { spec, state: state.0.read()? })
    }
}

impl StateRow {
    /// The body of an event, without the fields that have their initial value.
    pub(super) fn event_body(&self) -> Result<Value, StoreError> {
        let mut body = serde_json::to_value(self)
            .map_err(|error| StoreError::unreadable("run_event", &self.job_id, &error))?;
        if let Value::Object(fields) = &mut body {
            fields.retain(|_, value| !is_initial(value));
        }
        Ok(body)
    }
}

fn is_initial(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(entries) => entries.is_empty(),
        Value::Bool(_) | Value::Object(_) => false,
    }
}

impl SpecRow {
    fn read(self, job_id: &str) -> Result<RunSpec, StoreError> {
        let unreadable = |reason: String| StoreError::unreadable("scraping_job", job_id, &reason);
        let id = RunId::parse(job_id).map_err(|e| unreadable(e.to_string()))?;
        let original = self.original_job_id.as_deref().map(RunId::parse).transpose();
        let scheduled = self.scheduled_job_id.as_deref().map(ScheduledJobId::parse).transpose();
        Ok(RunSpec {
            id,
            scheduled_job_id: scheduled.map_err(|e| unreadable(e.to_string()))?,
            original_job_id: original.map_err(|e| unreadable(e.to_string()))?,
            origin: word(job_id, "origin", &self.origin)?,
            priority: word(job_id, "priority", &self.priority)?,
            parameters: self.parameters,
            policy: self.policy,
            deadline_at: self.deadline_at,
            requested_by: self.requested_by,
            labels: self.labels,
            tick_at: self.tick_at,
            created_at: self.created_at,
            queued: self.queued,
        })
    }
}

impl StateRow {
    pub(super) fn read(self) -> Result<RunState, StoreError> {
        let status = word(&self.job_id, "status", &self.status)?;
        Ok(RunState {
            status,
            lease: self.lease(),
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
                failed: self.failed_locations.into_iter().map(FailedLocation::from).collect(),
            },
            attempt: self.attempt,
            attempt_started_at: self.attempt_started_at,
            max_attempts: self.max_attempts,
            error_message: self.error_message,
            revision: self.revision,
        })
    }

    fn lease(&self) -> Option<Lease> {
        Some(Lease {
            worker_id: self.worker_id.clone()?,
            expires_at: self.lease_expires_at?,
            length: Duration::from_millis(u64::try_from(self.lease_ms?).unwrap_or(0)),
            latest_at: self.lease_latest_at?,
        })
    }
}

impl From<&FailedLocation> for FailedLocationRow {
    fn from(failed: &FailedLocation) -> Self {
        let FailedLocation { location, reason, permanent } = failed.clone();
        Self { location, reason, permanent }
    }
}

impl From<FailedLocationRow> for FailedLocation {
    fn from(FailedLocationRow { location, reason, permanent }: FailedLocationRow) -> Self {
        Self { location, reason, permanent }
    }
}

fn millis(length: Duration) -> i64 {
    i64::try_from(length.as_millis()).unwrap_or(i64::MAX)
}

fn word<T: FromStr>(job_id: &str, column: &str, word: &str) -> Result<T, StoreError> {
    let unknown =
        || StoreError::unreadable("scraping_job", job_id, &format!("unknown {column} '{word}'"));
    word.parse().map_err(|_| unknown())
}
