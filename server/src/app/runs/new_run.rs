//! The decision about a new run: what it repeats or belongs to, and whether it may be created.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{RetryRequest, Trigger, Triggered};
use crate::app::AppError;
use crate::domain::id::{RunId, ScheduledJobId};
use crate::domain::labels::{self, Labels};
use crate::domain::parameters::ScrapeParameters;
use crate::domain::policy::RunPolicy;
use crate::domain::run::{NewRun, Origin, Priority, Run};
use crate::domain::scheduled_job::{self, ScheduledJob};

/// What a new run is made from.
#[derive(Clone, Debug)]
pub(in crate::app) enum Base {
    /// A scheduled job, or else a run.
    Trigger(Trigger),
    /// A run that has ended.
    Retry(RetryRequest),
    /// The request alone.
    Nothing(NewRun),
}

/// What decisions depend on.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Jobs that may have changed since they were read.
    pub(super) cached: BTreeMap<ScheduledJobId, Arc<ScheduledJob>>,
    /// Jobs and runs as they are.
    pub(super) read: BTreeMap<ScheduledJobId, Arc<ScheduledJob>>,
    pub(super) runs: BTreeMap<RunId, Run>,
}

impl Base {
    /// The scheduled job that the request names, if its id has the form of one.
    pub(super) fn named_job(&self) -> Option<ScheduledJobId> {
        match self {
            Self::Trigger(trigger) => ScheduledJobId::parse(&trigger.job_id).ok(),
            Self::Retry(_) | Self::Nothing(_) => None,
        }
    }

    /// The run that the request names, if its id has the form of one.
    pub(super) fn named_run(&self) -> Option<RunId> {
        match self {
            Self::Trigger(trigger) => RunId::parse(&trigger.job_id).ok(),
            Self::Retry(retry) => Some(retry.run.clone()),
            Self::Nothing(_) => None,
        }
    }

    pub(super) fn new_run(&self, known: &Known) -> Result<NewRun, AppError> {
        match self {
            Self::Trigger(trigger) => triggered(trigger, known),
            Self::Retry(retry) => retried(retry, known),
            Self::Nothing(new) => Ok(new.clone()),
        }
    }
}

impl Known {
    pub(super) fn job(&self, id: &ScheduledJobId) -> Option<&ScheduledJob> {
        self.read.get(id).or_else(|| self.cached.get(id)).map(Arc::as_ref)
    }

    /// The run with its message.
    pub(super) fn triggered(&self, run: Run) -> Triggered {
        Triggered { message: self.message(&run), run }
    }

    /// The sentence about a triggered run that the contract defines.
    fn message(&self, run: &Run) -> String {
        match (&run.spec.original_job_id, &run.spec.scheduled_job_id) {
            (Some(original), _) => format!("Triggered existing job {original} to run immediately"),
            (None, Some(id)) => self.job(id).map_or_else(String::new, message_of),
            (None, None) => String::new(),
        }
    }
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

fn triggered(trigger: &Trigger, known: &Known) -> Result<NewRun, AppError> {
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
    let job = ScheduledJobId::parse(&trigger.job_id).ok();
    if let Some(job) = job.and_then(|id| known.job(&id)) {
        if job.gate.deleted_at.is_some() {
            return Err(AppError::JobDeleted(job.id.clone()));
        }
        // An invalid schedule does not matter here: a trigger does not use it.
        let is_used = |field: &str| !matches!(field, "cron_expression" | "timezone" | "catch_up");
        if job.problems.iter().any(|problem| is_used(&problem.field)) {
            return Err(AppError::JobUnreadable(job.problems.clone()));
        }
        return Ok(NewRun {
            scheduled_job_id: Some(job.id.clone()),
            parameters: job.settings.parameters.overridden(&trigger.overrides),
            labels: labels::overlaid(&job.settings.labels, &trigger.labels),
            policy: job.settings.policy.clone(),
            ..base
        });
    }
    let not_found = || AppError::JobNotFound(trigger.job_id.clone());
    let id = RunId::parse(&trigger.job_id).map_err(|_| not_found())?;
    let earlier = known.runs.get(&id).ok_or_else(not_found)?;
    let parameters = earlier.spec.parameters.overridden(&trigger.overrides);
    if parameters.locations.is_empty() {
        // An imported run may have no locations.
        let text = format!("run {id} has no locations; specify some");
        return Err(AppError::invalid("overrides.locations", text));
    }
    Ok(NewRun {
        scheduled_job_id: earlier.spec.scheduled_job_id.clone(),
        original_job_id: Some(id),
        parameters,
        labels: labels::overlaid(&earlier.spec.labels, &trigger.labels),
        policy: earlier.spec.policy.clone(),
        ..base
    })
}

fn retried(retry: &RetryRequest, known: &Known) -> Result<NewRun, AppError> {
    let earlier = known.runs.get(&retry.run);
    let earlier = earlier.ok_or_else(|| AppError::RunNotFound(retry.run.clone()))?;
    let job = earlier.spec.scheduled_job_id.as_ref().and_then(|id| known.job(id));
    if let Some(job) = job.filter(|job| job.gate.deleted_at.is_some()) {
        return Err(AppError::JobDeleted(job.id.clone()));
    }
    if !earlier.state.status.is_final() {
        return Err(AppError::RunActive(earlier.spec.id.clone()));
    }
    let locations = earlier.remaining_locations();
    if locations.is_empty() {
        return Err(AppError::NothingToRetry(earlier.spec.id.clone()));
    }
    Ok(NewRun {
        origin: Origin::Retry,
        scheduled_job_id: earlier.spec.scheduled_job_id.clone(),
        original_job_id: Some(earlier.spec.id.clone()),
        priority: retry.priority.unwrap_or(Priority::Immediate),
        parameters: ScrapeParameters { locations, ..earlier.spec.parameters.clone() },
        requested_by: retry.requested_by.clone(),
        labels: earlier.spec.labels.clone(),
        tick_at: None,
        available_at: None,
        queued: false,
        policy: earlier.spec.policy.clone(),
    })
}
