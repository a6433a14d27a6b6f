//! Log lines about the course of runs.
//!
//! Every end of a run or of an attempt is logged here and only here, by the server that committed it. Call
//! these functions after the commit: a transaction that was rolled back must not leave a line.

use chrono::{DateTime, SecondsFormat, Utc};
use tracing::{info, warn};

use crate::domain::run::{Run, RunState, Status};

/// Logs the state of runs that have just changed.
pub(super) fn log_changed<'a>(runs: impl IntoIterator<Item = &'a Run>) {
    runs.into_iter().for_each(log_run);
}

/// Logs the state of a run whose attempt has ended, or that was cancelled.
pub(super) fn log_run(run: &Run) {
    let (id, RunState { attempt, error_message: reason, .. }) = (&run.spec.id, &run.state);
    match run.state.status {
        Status::Completed => log_completed(run),
        Status::Failed => log_failed(run),
        Status::Cancelled => info!(run.id = %id, "Run {id} was cancelled"),
        Status::Running => info!(
            run.id = %id,
            run.attempt = attempt,
            "Cancellation of run {id} was requested; its worker has to stop attempt {attempt}"
        ),
        Status::Pending if reason.is_empty() => info!(
            run.id = %id,
            run.attempt = attempt,
            "Run {id} was released by its worker; it is pending again"
        ),
        Status::Pending => warn!(
            run.id = %id,
            run.attempt = attempt,
            job.id = run.spec.scheduled_job_id.as_ref().map(tracing::field::display),
            "Attempt {attempt} of run {id}{} failed: {reason}; retrying after {}",
            of_job(run),
            seconds(run.state.available_at)
        ),
    }
}

/// Logs the state of a run whose lease expired. `worker` held it.
pub(super) fn log_lost_lease(run: &Run, worker: &str) {
    let (id, RunState { attempt, error_message: reason, .. }) = (&run.spec.id, &run.state);
    let next = match run.state.status {
        Status::Pending => format!("retrying after {}", seconds(run.state.available_at)),
        Status::Running | Status::Completed | Status::Failed | Status::Cancelled => {
            format!("the run is {}", run.state.status)
        }
    };
    warn!(
        run.id = %id,
        run.attempt = attempt,
        job.id = run.spec.scheduled_job_id.as_ref().map(tracing::field::display),
        worker.id = worker,
        "Run {id} lost its lease in attempt {attempt}: {reason}; {next}"
    );
}

fn seconds(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn log_completed(run: &Run) {
    let id = &run.spec.id;
    let failed = &run.state.progress.failed;
    let Some(first) = failed.first() else {
        return info!(run.id = %id, "Run {id} completed");
    };
    let locations = if failed.len() == 1 { "location" } else { "locations" };
    warn!(
        run.id = %id,
        job.id = run.spec.scheduled_job_id.as_ref().map(tracing::field::display),
        run.failed_locations = failed.len(),
        "Run {id}{} completed with {} failed {locations}; first: {}: {}",
        of_job(run),
        failed.len(),
        first.location,
        first.reason
    );
}

fn of_job(run: &Run) -> String {
    let job = run.spec.scheduled_job_id.as_ref();
    job.map(|job| format!(" of job {job}")).unwrap_or_default()
}

fn log_failed(run: &Run) {
    let (id, job) = (&run.spec.id, run.spec.scheduled_job_id.as_ref());
    let RunState { attempt, error_message: reason, .. } = &run.state;
    warn!(
        run.id = %id,
        run.attempt = attempt,
        job.id = job.map(tracing::field::display),
        "Run {id}{} failed: {reason}",
        of_job(run)
    );
}
