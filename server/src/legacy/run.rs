//! Documents of `jobs`: runs.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::fields::Fields;
use super::outcome::{counts, error_message, progress};
use super::{Defaults, ids, parameters};
use crate::domain::id::{RunId, ScheduledJobId};
use crate::domain::labels::Labels;
use crate::domain::policy::RunPolicy;
use crate::domain::run::{Origin, Priority, Run, RunSpec, RunState, Status};

/// `requested_by` of imported runs.
const REQUESTED_BY: &str = "import";
const NOT_ENDED: &str = "run had not ended at the time of the export";

/// A run of the old system, repaired. Its link and origin are set once all jobs are known.
#[derive(Clone, Debug)]
pub struct LegacyRun {
    run: Run,
    scheduled_job_id: Option<ScheduledJobId>,
    /// The scheduled job or run that it was triggered from.
    original: Option<ScheduledJobId>,
    /// The nominal time of its tick.
    tick_at: Option<DateTime<Utc>>,
}

impl LegacyRun {
    /// The scheduled job in its own fields.
    pub(super) fn job(&self) -> Option<&ScheduledJobId> {
        self.scheduled_job_id.as_ref()
    }

    /// The scheduled job or run that it was triggered from.
    pub(super) fn original(&self) -> Option<&ScheduledJobId> {
        self.original.as_ref()
    }

    /// The ids of the scheduled jobs that it may belong to.
    pub fn possible_job_ids(&self) -> impl Iterator<Item = ScheduledJobId> {
        self.scheduled_job_id.clone().into_iter().chain(self.original.clone())
    }

    pub fn id(&self) -> &RunId {
        &self.run.spec.id
    }

    /// The run before it is linked.
    pub(super) fn run(&self) -> &Run {
        &self.run
    }

    /// The same run with the scheduled job `job`.
    pub(super) fn with_job(self, job: &ScheduledJobId) -> Self {
        Self { scheduled_job_id: Some(job.clone()), ..self }
    }

    /// The run linked to `job`.
    pub(super) fn into_linked(self, job: Option<ScheduledJobId>) -> Run {
        let origin = origin(&self.run.spec, job.is_some());
        let tick_at = if origin == Origin::Scheduled { self.tick_at } else { None };
        let spec =
            RunSpec { origin, tick_at, scheduled_job_id: job, ..self.run.spec.as_ref().clone() };
        Run { spec: Arc::new(spec), state: self.run.state }
    }
}

pub(super) fn read(fields: &mut Fields, defaults: &Defaults) -> Result<LegacyRun, String> {
    let id = fields.text("job_id").ok_or("job_id is missing")?;
    // A copy of its scheduled job's field.
    fields.value("cron_expression");
    let id = RunId::parse(&id).map_err(|error| format!("job_id '{id}' {error}"))?;
    let status = status(fields)?;
    let times = Times::read(fields, &id, status)?;
    let original = fields.text("original_job_id");
    let parameters = parameters::read(fields, &defaults.source);
    let spec = RunSpec {
        id,
        scheduled_job_id: None,
        original_job_id: original.as_deref().and_then(|id| RunId::parse(id).ok()),
        origin: Origin::Immediate,
        priority: priority(fields, Priority::Normal),
        parameters,
        requested_by: REQUESTED_BY.to_owned(),
        labels: Labels::new(),
        tick_at: None,
        created_at: times.created,
        queued: false,
        policy: RunPolicy::default(),
        deadline_at: None,
    };
    let not_ended = if status.is_final() { "" } else { NOT_ENDED };
    let state = RunState {
        status: if status.is_final() { status } else { Status::Failed },
        started_at: times.started,
        completed_at: Some(times.ended),
        cancel_requested_at: (status == Status::Cancelled).then_some(times.ended),
        counts: counts(fields),
        progress: progress(fields, &spec.parameters.locations, status),
        attempt: i32::from(times.started.is_some()),
        attempt_started_at: times.started,
        error_message: error_message(fields).unwrap_or_else(|| not_ended.to_owned()),
        ..RunState::pending(&spec, times.created)
    };
    let run = Run { spec: Arc::new(spec), state };
    let scheduled_job_id = match fields.text("scheduled_job_id") {
        Some(old) => Some(
            ids::valid_id(&old)
                .ok_or_else(|| format!("cannot derive a scheduled job id from '{old}'"))?,
        ),
        None => None,
    };
    let tick = fields.time("scheduled_at").or_else(|| fields.time("scheduled_for"));
    let tick_at = tick.or_else(|| timestamp_in(&run.spec.id)).or(Some(run.spec.created_at));
    Ok(LegacyRun {
        run,
        scheduled_job_id,
        original: original.as_deref().and_then(ids::valid_id),
        tick_at,
    })
}

/// True if the document's status is final.
pub(super) fn has_ended(fields: &Fields) -> bool {
    let word = fields.clone().text("status").unwrap_or_default();
    status_of(&word).is_some_and(Status::is_final)
}

/// Marks the fields that only runs have as read.
pub(super) fn ignore_run_fields(fields: &mut Fields) {
    const RUN_FIELDS: [&str; 17] = [
        "started_at",
        "completed_at",
        "original_job_id",
        "scheduled_job_id",
        "scheduled_at",
        "scheduled_for",
        "properties_scraped",
        "properties_saved",
        "properties_inserted",
        "properties_updated",
        "properties_skipped",
        "properties_duplicate",
        "error",
        "error_message",
        "total_locations",
        "completed_locations",
        "failed_locations",
    ];
    for name in RUN_FIELDS {
        fields.value(name);
    }
}

pub(super) fn status_of(word: &str) -> Option<Status> {
    match word.to_lowercase().as_str() {
        "canceled" => Some(Status::Cancelled),
        word => word.parse().ok(),
    }
}

pub(super) fn priority(fields: &mut Fields, default: Priority) -> Priority {
    let Some(word) = fields.text("priority") else { return default };
    word.to_lowercase().parse().unwrap_or_else(|_| {
        fields.note(format!("priority '{word}' is unknown; using {default}"));
        default
    })
}

fn status(fields: &mut Fields) -> Result<Status, String> {
    let word = fields.text("status").ok_or("status is missing")?;
    let status = status_of(&word).ok_or_else(|| format!("status '{word}' is unknown"))?;
    if !status.is_final() {
        fields.note(format!("{NOT_ENDED} and was {status}; imported as failed"));
    }
    Ok(status)
}

/// The times of a run, in order.
struct Times {
    created: DateTime<Utc>,
    started: Option<DateTime<Utc>>,
    ended: DateTime<Utc>,
}

impl Times {
    fn read(fields: &mut Fields, id: &RunId, status: Status) -> Result<Self, String> {
        let created = fields.time("created_at");
        let mut started = fields.time("started_at");
        let ended = fields.time("completed_at");
        let first = created.or(started).or(ended).or_else(|| timestamp_in(id));
        let first = first.ok_or("has no timestamp")?;
        if created.is_none() {
            fields.note("created_at is missing; using the first known time of the run");
        }
        if let Some(early) = started.filter(|started| *started < first) {
            fields.note(format!("started_at {early} is before created_at; using created_at"));
            started = Some(first);
        }
        let latest = started.unwrap_or(first);
        if ended.is_none() && status.is_final() {
            fields.note("completed_at is missing; using the last known time of the run");
        }
        if let Some(early) = ended.filter(|ended| *ended < latest) {
            fields.note(format!("completed_at {early} is before the start; using the start time"));
        }
        Ok(Self { created: first, started, ended: ended.unwrap_or(latest).max(latest) })
    }
}

/// Derives the origin from the run's id, because documents of the old system do not contain it.
/// Only this and `timestamp_in` interpret a run's id.
fn origin(spec: &RunSpec, linked: bool) -> Origin {
    let id = spec.id.as_str();
    match id.split('_').next() {
        Some("scheduled") if linked => Origin::Scheduled,
        Some("recurring" | "scheduled") => Origin::Recurring,
        Some("triggered") => Origin::Triggered,
        _ if spec.original_job_id.is_some() => Origin::Triggered,
        _ => Origin::Immediate,
    }
}

/// The seconds in `{origin}_{job}_{unix seconds}_{random}`.
fn timestamp_in(id: &RunId) -> Option<DateTime<Utc>> {
    /// 2001 to 2286: ten digits.
    const PLAUSIBLE: std::ops::Range<i64> = 1_000_000_000..10_000_000_000;
    let seconds = id.as_str().rsplit('_').nth(1)?.parse().ok()?;
    DateTime::from_timestamp(seconds, 0).filter(|_| PLAUSIBLE.contains(&seconds))
}
