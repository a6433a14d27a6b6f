//! Creating runs on request: trigger, one-off submission and retry; and reading, listing and cancelling them.

mod cancel;
mod list;
mod retry;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{App, AppError, IdempotencyKey, Mode, commit};
use crate::domain::id::{RunId, ScheduledJobId};
use crate::domain::labels::{self, Labels};
use crate::domain::parameters::ScrapeParameters;
use crate::domain::policy::RunPolicy;
use crate::domain::run::{NewRun, Origin, Priority, Run};
use crate::domain::scheduled_job::{self, ScheduledJob};
use crate::domain::violation::Violation;
use crate::store::{runs, scheduled_jobs};

pub use self::cancel::Cancelled;
pub use self::list::{RunPage, RunQuery};
pub use self::retry::RetryRequest;

/// A request to run a scheduled job, or to repeat a run, now.
#[derive(Clone, Debug)]
pub struct Trigger {
    /// The id of a scheduled job or of a run.
    pub job_id: String,
    pub priority: Option<Priority>,
    /// Parameters that replace those of the job or run, for this run only.
    pub overrides: ScrapeParameters,
    /// Added to the labels of the job or run; a label with the same key is replaced.
    pub labels: Labels,
    pub requested_by: String,
    pub idempotency_key: Option<IdempotencyKey>,
}

/// The run that a trigger created.
#[derive(Clone, Debug)]
pub struct Triggered {
    pub run: Run,
    /// A sentence for the caller, as the contract defines it.
    pub message: String,
}

/// A request for a one-off run without a scheduled job.
#[derive(Clone, Debug)]
pub struct Submission {
    pub parameters: ScrapeParameters,
    pub priority: Option<Priority>,
    /// The earliest start; now if absent.
    pub available_at: Option<DateTime<Utc>>,
    pub labels: Labels,
    pub policy: RunPolicy,
    pub requested_by: String,
    pub idempotency_key: Option<IdempotencyKey>,
}

impl App {
    /// Creates a run of a scheduled job, in any status except deleted, or else a repetition of a run.
    pub async fn trigger(&self, trigger: Trigger, mode: Mode) -> Result<Triggered, AppError> {
        let now = self.now();
        let overrides = trigger.overrides.check(&self.sources).into_iter();
        let mut violations: Vec<Violation> = overrides.map(|v| v.within("overrides")).collect();
        violations.extend(labels::check(&trigger.labels));
        if !violations.is_empty() {
            return Err(AppError::Invalid(violations));
        }
        let mut tx = self.begin().await?;
        if let Some(run) = find_result(&mut tx, trigger.idempotency_key.as_ref()).await? {
            return triggered(&mut tx, run).await;
        }
        let new = self.new_run(&mut tx, &trigger).await?;
        let run = Run::new(new, now, rand::random());
        if mode == Mode::ValidateOnly {
            return triggered(&mut tx, run).await;
        }
        let run = insert_idempotent(&mut tx, run, trigger.idempotency_key.as_ref()).await?;
        // Check the job again: the insertion may have waited for a concurrent deletion.
        if run.spec.original_job_id.is_none() {
            self.new_run(&mut tx, &trigger).await?;
        }
        let triggered = triggered(&mut tx, run).await?;
        commit(tx).await?;
        self.work_committed();
        Ok(triggered)
    }

    /// Creates a one-off run.
    pub async fn submit(&self, submission: Submission, mode: Mode) -> Result<Run, AppError> {
        let now = self.now();
        let mut violations = labels::check(&submission.labels);
        violations.extend(submission.policy.check().into_iter().map(|v| v.within("policy")));
        let parameters = submission.parameters.complete(&self.sources);
        let parameters = parameters.map_err(|found| {
            violations.extend(found.into_iter().map(|v| v.within("parameters")));
        });
        let (Ok(parameters), []) = (parameters, violations.as_slice()) else {
            return Err(AppError::Invalid(violations));
        };
        let new = NewRun {
            origin: Origin::Immediate,
            scheduled_job_id: None,
            original_job_id: None,
            priority: submission.priority.unwrap_or(Priority::Normal),
            parameters,
            requested_by: submission.requested_by,
            labels: submission.labels,
            tick_at: None,
            available_at: submission.available_at,
            queued: false,
            policy: submission.policy,
        };
        let run = Run::new(new, now, rand::random());
        if mode == Mode::ValidateOnly {
            return Ok(run);
        }
        let mut tx = self.begin().await?;
        if let Some(run) = find_result(&mut tx, submission.idempotency_key.as_ref()).await? {
            return Ok(run);
        }
        let run = insert_idempotent(&mut tx, run, submission.idempotency_key.as_ref()).await?;
        commit(tx).await?;
        self.work_committed();
        Ok(run)
    }

    pub async fn get_run(&self, id: &RunId) -> Result<Run, AppError> {
        let mut conn = self.acquire().await?;
        runs::run_get(&mut conn, id).await?.ok_or_else(|| AppError::RunNotFound(id.clone()))
    }

    /// Signals committed events, and that a run may be ready to be leased.
    pub(super) fn work_committed(&self) {
        self.events_committed();
        self.signals.work_available.notify_waiters();
    }

    async fn new_run(
        &self,
        conn: &mut PgConnection,
        trigger: &Trigger,
    ) -> Result<NewRun, AppError> {
        let base = NewRun {
            origin: Origin::Triggered,
            scheduled_job_id: None,
            original_job_id: None,
            priority: trigger.priority.unwrap_or(Priority::Immediate),
            parameters: ScrapeParameters::default(),
            requested_by: trigger.requested_by.clone(),
            labels: Labels::new(),
            tick_at: None,
            available_at: None,
            queued: false,
            policy: RunPolicy::default(),
        };
        if let Some(job) = scheduled_job(conn, &trigger.job_id).await? {
            if job.gate.deleted_at.is_some() {
                return Err(AppError::JobDeleted(job.id));
            }
            // An invalid schedule does not matter here: a trigger does not use it.
            let is_used =
                |field: &str| !matches!(field, "cron_expression" | "timezone" | "catch_up");
            if job.problems.iter().any(|problem| is_used(&problem.field)) {
                return Err(AppError::JobUnreadable(job.problems));
            }
            let parameters = job.settings.parameters.overridden(&trigger.overrides);
            let labels = labels::overlaid(&job.settings.labels, &trigger.labels);
            let (scheduled_job_id, policy) = (Some(job.id), job.settings.policy);
            return Ok(NewRun { scheduled_job_id, parameters, labels, policy, ..base });
        }
        let not_found = || AppError::JobNotFound(trigger.job_id.clone());
        let id = RunId::parse(&trigger.job_id).map_err(|_| not_found())?;
        let earlier = runs::run_get(conn, &id).await?.ok_or_else(not_found)?;
        let parameters = earlier.spec.parameters.overridden(&trigger.overrides);
        if parameters.locations.is_empty() {
            // An imported run may have no locations.
            let text = format!("run {id} has no locations; specify some");
            return Err(AppError::invalid("overrides.locations", text));
        }
        let scheduled_job_id = earlier.spec.scheduled_job_id.clone();
        let labels = labels::overlaid(&earlier.spec.labels, &trigger.labels);
        let (original_job_id, policy) = (Some(id), earlier.spec.policy.clone());
        Ok(NewRun { scheduled_job_id, original_job_id, parameters, labels, policy, ..base })
    }
}

async fn find_result(
    conn: &mut PgConnection,
    key: Option<&IdempotencyKey>,
) -> Result<Option<Run>, AppError> {
    let Some(key) = key else { return Ok(None) };
    match key.find_result(conn).await? {
        Some(id) => Ok(Some(created_run(conn, id).await?)),
        None => Ok(None),
    }
}

/// Inserts the run. If a concurrent call with the same key was faster, returns its run instead.
async fn insert_idempotent(
    conn: &mut PgConnection,
    run: Run,
    key: Option<&IdempotencyKey>,
) -> Result<Run, AppError> {
    if let Some(key) = key
        && !key.claim(conn, run.spec.id.as_str(), run.spec.created_at).await?
        && let Some(run) = find_result(conn, Some(key)).await?
    {
        return Ok(run);
    }
    runs::runs_insert(conn, std::slice::from_ref(&run)).await?;
    Ok(run)
}

async fn created_run(conn: &mut PgConnection, id: String) -> Result<Run, AppError> {
    let Ok(run_id) = RunId::parse(&id) else { return Err(AppError::JobNotFound(id)) };
    runs::run_get(conn, &run_id).await?.ok_or(AppError::JobNotFound(id))
}

async fn scheduled_job(
    conn: &mut PgConnection,
    id: &str,
) -> Result<Option<ScheduledJob>, AppError> {
    match ScheduledJobId::parse(id) {
        Ok(id) => Ok(scheduled_jobs::scheduled_job_get(conn, &id).await?),
        Err(_) => Ok(None),
    }
}

async fn triggered(conn: &mut PgConnection, run: Run) -> Result<Triggered, AppError> {
    let message = match (&run.spec.original_job_id, &run.spec.scheduled_job_id) {
        (Some(original), _) => format!("Triggered existing job {original} to run immediately"),
        (None, Some(id)) => {
            let job = scheduled_jobs::scheduled_job_get(conn, id).await?;
            job.map_or_else(String::new, |job| message_of(&job))
        }
        (None, None) => String::new(),
    };
    Ok(Triggered { run, message })
}

fn message_of(job: &ScheduledJob) -> String {
    let name = &job.settings.name;
    let suffix = match job.gate.status {
        scheduled_job::Status::Active => "",
        scheduled_job::Status::Paused => " (the job is paused)",
        scheduled_job::Status::Inactive => " (the job is inactive)",
    };
    format!("Triggered scheduled job '{name}' to run immediately{suffix}")
}
