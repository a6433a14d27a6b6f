//! Writes changed runs together with the history of their jobs, so that the two never disagree.

use std::collections::BTreeMap;

use sqlx::PgConnection;

use super::AppError;
use crate::domain::id::ScheduledJobId;
use crate::domain::run::Run;
use crate::store::history::{self, Ended};
use crate::store::runs;

/// Writes runs that `apply` has changed, and counts those that ended in the history of their jobs. Every
/// change of a run's state goes through here.
pub(super) async fn write_changed(
    conn: &mut PgConnection,
    changed: &[Run],
) -> Result<(), AppError> {
    if changed.is_empty() {
        return Ok(());
    }
    runs::runs_write(conn, changed).await?;
    let ended = ended_by_job(changed);
    if !ended.is_empty() {
        history::history_add(conn, &ended).await?;
    }
    Ok(())
}

fn ended_by_job(changed: &[Run]) -> Vec<Ended> {
    let mut by_job: BTreeMap<&ScheduledJobId, Ended> = BTreeMap::new();
    for run in changed {
        let (Some(job), Some(ended_at)) = (&run.spec.scheduled_job_id, run.state.completed_at)
        else {
            continue;
        };
        let count = by_job.get(job).map_or(1, |before| before.count + 1);
        let ended = Ended {
            scheduled_job_id: job.clone(),
            count,
            run_at: run.state.started_at.unwrap_or(ended_at),
            status: run.state.status,
            job_id: run.spec.id.clone(),
            ended_at,
        };
        by_job.insert(job, ended);
    }
    by_job.into_values().collect()
}
