//! Retrying the failed locations of an ended run.

use super::{find_result, insert_idempotent, scheduled_job};
use crate::app::{App, AppError, IdempotencyKey, Mode, commit};
use crate::domain::id::RunId;
use crate::domain::parameters::ScrapeParameters;
use crate::domain::run::{NewRun, Origin, Priority, Run};
use crate::store::runs;

/// A request for a run of the locations that an ended run has not completed.
#[derive(Clone, Debug)]
pub struct RetryRequest {
    pub run: RunId,
    pub priority: Option<Priority>,
    pub requested_by: String,
    pub idempotency_key: Option<IdempotencyKey>,
}

impl App {
    /// Creates a run for the locations that an ended run has not completed.
    pub async fn retry_failed_locations(
        &self,
        request: RetryRequest,
        mode: Mode,
    ) -> Result<Run, AppError> {
        let now = self.now();
        let mut tx = self.begin().await?;
        if let Some(run) = find_result(&mut tx, request.idempotency_key.as_ref()).await? {
            return Ok(run);
        }
        let earlier = runs::run_get(&mut tx, &request.run).await?;
        let earlier = earlier.ok_or_else(|| AppError::RunNotFound(request.run.clone()))?;
        self.check_job(&mut tx, &earlier).await?;
        let run = Run::new(retry_of(&earlier, &request)?, now, rand::random());
        if mode == Mode::ValidateOnly {
            return Ok(run);
        }
        let run = insert_idempotent(&mut tx, run, request.idempotency_key.as_ref()).await?;
        // Again, as a deletion may have made the insertion wait.
        self.check_job(&mut tx, &earlier).await?;
        commit(tx).await?;
        self.work_committed();
        Ok(run)
    }

    async fn check_job(&self, conn: &mut sqlx::PgConnection, run: &Run) -> Result<(), AppError> {
        let Some(id) = &run.spec.scheduled_job_id else { return Ok(()) };
        match scheduled_job(conn, id.as_str()).await? {
            Some(job) if job.gate.deleted_at.is_some() => Err(AppError::JobDeleted(job.id)),
            Some(_) | None => Ok(()),
        }
    }
}

fn retry_of(earlier: &Run, request: &RetryRequest) -> Result<NewRun, AppError> {
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
        priority: request.priority.unwrap_or(Priority::Immediate),
        parameters: ScrapeParameters { locations, ..earlier.spec.parameters.clone() },
        requested_by: request.requested_by.clone(),
        labels: earlier.spec.labels.clone(),
        tick_at: None,
        available_at: None,
        queued: false,
        policy: earlier.spec.policy.clone(),
    })
}
