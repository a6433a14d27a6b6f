//! Runs as rows. [`RunRow`] is a whole run, in two halves like [`Run`]: a [`SpecRow`], and a
//! [`StateRow`], which is also the body of an event.
//!
//! A column is named here only: in its row, and in the row's two conversions. Rows are written as one array
//! for each column, which costs the database half as much as JSON. For that, the statements are composed
//! from the names of the columns, and not checked by the compiler.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::types::Json;

use super::StoreError;
use crate::domain::id::{RunId, ScheduledJobId};
use crate::domain::labels::Labels;
use crate::domain::parameters::ScrapeParameters;
use crate::domain::policy::RunPolicy;
use crate::domain::run::{Counts, FailedLocation, Lease, Progress, Run, RunSpec, RunState, Status};

/// A column: its name, and its type in SQL.
pub(super) type Column = (&'static str, &'static str);

/// Defines a row. Each field is a column, with its type in Rust and in SQL.
macro_rules! row {
    (
        $(#[$attribute:meta])*
        pub(super) struct $row:ident { $($name:ident: $rust:ty = $sql:literal,)* }
    ) => {
        $(#[$attribute])*
        pub(super) struct $row { $($name: $rust,)* }

        impl $row {
            pub(super) const COLUMNS: &[Column] = &[$((stringify!($name), $sql),)*];

            /// Binds one array for each column.
            pub(super) fn bind_each<'q>(
                rows: &[Self],
                query: Query<'q, Postgres, PgArguments>,
            ) -> Query<'q, Postgres, PgArguments> {
                query$(.bind(rows.iter().map(|row| row.$name.clone()).collect::<Vec<$rust>>()))*
            }
        }
    };
}

/// A row of `scraping_job`.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct RunRow {
    #[sqlx(flatten)]
    spec: SpecRow,
    #[sqlx(flatten)]
    state: StateRow,
}

row! {
    /// The columns that never change.
    #[derive(Debug, sqlx::FromRow)]
    pub(super) struct SpecRow {
        scheduled_job_id: Option<String> = "text",
        original_job_id: Option<String> = "text",
        origin: String = "text",
        priority: String = "text",
        rank_at: DateTime<Utc> = "timestamptz",
        parameters: Json<ScrapeParameters> = "jsonb",
        policy: Json<RunPolicy> = "jsonb",
        deadline_at: Option<DateTime<Utc>> = "timestamptz",
        requested_by: String = "text",
        labels: Json<Labels> = "jsonb",
        tick_at: Option<DateTime<Utc>> = "timestamptz",
        created_at: DateTime<Utc> = "timestamptz",
        queued: bool = "bool",
    }
}

row! {
    /// The key and the columns that change. The body of an event lacks fields with their initial value.
    #[derive(Debug, Default, Serialize, Deserialize, sqlx::FromRow)]
    #[serde(default)]
    pub(super) struct StateRow {
        job_id: String = "text",
        status: String = "text",
        available_at: DateTime<Utc> = "timestamptz",
        started_at: Option<DateTime<Utc>> = "timestamptz",
        completed_at: Option<DateTime<Utc>> = "timestamptz",
        cancel_requested_at: Option<DateTime<Utc>> = "timestamptz",
        properties_scraped: i64 = "bigint",
        properties_saved: i64 = "bigint",
        properties_updated: i64 = "bigint",
        properties_skipped: i64 = "bigint",
        properties_duplicate: i64 = "bigint",
        total_locations: i32 = "int",
        completed_locations: i32 = "int",
        done_locations: Json<BTreeSet<i32>> = "jsonb",
        failed_locations: Json<Vec<FailedLocationRow>> = "jsonb",
        attempt: i32 = "int",
        attempt_started_at: Option<DateTime<Utc>> = "timestamptz",
        max_attempts: i32 = "int",
        error_message: String = "text",
        revision: i64 = "bigint",
        worker_id: Option<String> = "text",
        lease_expires_at: Option<DateTime<Utc>> = "timestamptz",
        lease_ms: Option<i64> = "bigint",
        lease_latest_at: Option<DateTime<Utc>> = "timestamptz",
    }
}

/// One entry of `failed_locations`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct FailedLocationRow {
    location: String,
    reason: String,
    permanent: bool,
}

impl From<&RunSpec> for SpecRow {
    fn from(spec: &RunSpec) -> Self {
        Self {
            scheduled_job_id: spec.scheduled_job_id.as_ref().map(ToString::to_string),
            original_job_id: spec.original_job_id.as_ref().map(ToString::to_string),
            origin: spec.origin.into_str().to_owned(),
            priority: spec.priority.into_str().to_owned(),
            rank_at: spec.rank_at(),
            parameters: Json(spec.parameters.clone()),
            policy: Json(spec.policy.clone()),
            deadline_at: spec.deadline_at,
            requested_by: spec.requested_by.clone(),
            labels: Json(spec.labels.clone()),
            tick_at: spec.tick_at,
            created_at: spec.created_at,
            queued: spec.queued,
        }
    }
}

impl From<&Run> for StateRow {
    fn from(Run { spec, state }: &Run) -> Self {
        let failed = &state.progress.failed;
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
            done_locations: Json(state.progress.done.clone()),
            failed_locations: Json(failed.iter().map(FailedLocationRow::from).collect()),
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
        let spec = Arc::new(spec.read(&state.job_id)?);
        Ok(Self { spec, state: state.read()? })
    }
}

impl StateRow {
    /// The body of an event, without the fields that have their initial value. While the run is running it lacks the
    /// lists of locations too, which grow with every report: the run has them.
    pub(super) fn event_body(&self) -> Result<Value, StoreError> {
        let mut body = serde_json::to_value(self)
            .map_err(|error| StoreError::unreadable("run_event", &self.job_id, &error))?;
        if let Value::Object(fields) = &mut body {
            let is_running = self.status == Status::Running.into_str();
            let is_list = |name: &str| name == "done_locations" || name == "failed_locations";
            fields.retain(|name, value| !(is_initial(value) || is_running && is_list(name)));
        }
        Ok(body)
    }

    /// The state of an event, with `failed` failed locations. The locations of a running run are those of its
    /// progress `now`, in the number of the event.
    pub(super) fn read_event(self, failed: i32, now: &Progress) -> Result<RunState, StoreError> {
        let completed = self.completed_locations;
        let state = self.read()?;
        Ok(match state.status {
            Status::Running => RunState { progress: now.shortened(completed, failed), ..state },
            Status::Pending | Status::Completed | Status::Failed | Status::Cancelled => state,
        })
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
            parameters: self.parameters.0,
            policy: self.policy.0,
            deadline_at: self.deadline_at,
            requested_by: self.requested_by,
            labels: self.labels.0,
            tick_at: self.tick_at,
            created_at: self.created_at,
            queued: self.queued,
        })
    }
}

impl StateRow {
    pub(super) fn status(&self) -> &str {
        &self.status
    }

    pub(super) fn read(self) -> Result<RunState, StoreError> {
        let status = word(&self.job_id, "status", &self.status)?;
        if self.revision < 1 {
            return Err(StoreError::unreadable("run_event", &self.job_id, &"no revision"));
        }
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
                done: self.done_locations.0,
                failed: self.failed_locations.0.into_iter().map(FailedLocation::from).collect(),
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
