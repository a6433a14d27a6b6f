//! Creating runs on request: trigger, one-off submission and retry; and reading, listing and cancelling them.

mod cancel;
mod create;
mod job_cache;
mod list;
mod new_run;

use chrono::{DateTime, Utc};

use super::{App, AppError, IdempotencyKey, Mode};
use crate::domain::id::RunId;
use crate::domain::labels::{self, Labels};
use crate::domain::parameters::ScrapeParameters;
use crate::domain::policy::RunPolicy;
use crate::domain::run::{NewRun, Origin, Priority, Run};
use crate::domain::violation::Violation;
use crate::store::runs;

pub(super) use self::create::Creation;
pub(super) use self::job_cache::JobCache;
use self::new_run::Base;

pub use self::cancel::Cancelled;
pub use self::list::{RunPage, RunQuery};

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

/// A request for a run of the locations that an ended run has not completed.
#[derive(Clone, Debug)]
pub struct RetryRequest {
    pub run: RunId,
    pub priority: Option<Priority>,
    pub requested_by: String,
    pub idempotency_key: Option<IdempotencyKey>,
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
        let overrides = trigger.overrides.check(&self.sources).into_iter();
        let mut violations: Vec<Violation> = overrides.map(|v| v.within("overrides")).collect();
        violations.extend(labels::check(&trigger.labels));
        if !violations.is_empty() {
            return Err(AppError::Invalid(violations));
        }
        let key = trigger.idempotency_key.clone();
        let creation = self.creation(Base::Trigger(trigger), key);
        self.create_run(creation, mode).await
    }

    /// Creates a one-off run.
    pub async fn submit(&self, submission: Submission, mode: Mode) -> Result<Run, AppError> {
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
        let creation = self.creation(Base::Nothing(new), submission.idempotency_key);
        Ok(self.create_run(creation, mode).await?.run)
    }

    /// Creates a run for the locations that an ended run has not completed.
    pub async fn retry_failed_locations(
        &self,
        request: RetryRequest,
        mode: Mode,
    ) -> Result<Run, AppError> {
        let key = request.idempotency_key.clone();
        let creation = self.creation(Base::Retry(request), key);
        Ok(self.create_run(creation, mode).await?.run)
    }

    async fn create_run(&self, creation: Creation, mode: Mode) -> Result<Triggered, AppError> {
        match mode {
            Mode::Commit => self.creations.call(creation).await,
            Mode::ValidateOnly => creation.preview(&mut *self.begin_snapshot().await?).await,
        }
    }

    pub async fn get_run(&self, id: &RunId) -> Result<Run, AppError> {
        let mut conn = self.acquire().await?;
        runs::run_get(&mut conn, id).await?.ok_or_else(|| AppError::RunNotFound(id.clone()))
    }
}
