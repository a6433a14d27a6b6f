//! A change of the status of a job: the call, a line about it, and the command that undoes it.

use prost_types::Timestamp;
use windrow_client::Error;
use windrow_client::proto::{ScheduledJob, ScheduledJobStatus};

use super::show_changed;
use crate::failure::Failure;
use crate::flags::DryRunFlag;
use crate::json::word;
use crate::output::Output;
use crate::render::{Layout, clean, command_line, flag};

pub(super) struct StatusChange {
    pub(super) verb: &'static str,
    pub(super) done: &'static str,
    /// The server does not return the status before the change, and the undo command needs it.
    pub(super) before: ScheduledJob,
    /// The job as it will be.
    pub(super) planned: ScheduledJob,
}

impl StatusChange {
    /// Awaits the call, or with `--dry-run` drops it: the contract has no validation of these calls.
    pub(super) async fn make(
        self,
        output: Output,
        dry_run: DryRunFlag,
        call: impl IntoFuture<Output = Result<ScheduledJob, Error>>,
    ) -> Result<(), Failure> {
        let job = if dry_run.dry_run { self.before.clone() } else { call.await? };
        let lead = if dry_run.dry_run { self.intent() } else { self.result(&output.layout) };
        show_changed(output, &lead, job)
    }

    fn intent(&self) -> String {
        match self.nothing() {
            Some(nothing) => format!("Dry run: would change nothing: {nothing}"),
            None => format!("Dry run: would {} scheduled job {}", self.verb, self.id()),
        }
    }

    fn result(&self, layout: &Layout) -> String {
        if let Some(nothing) = self.nothing() {
            return format!("Nothing changed: {nothing}");
        }
        let is_deleted = self.planned.deleted_at.is_some();
        let runs = if is_deleted { "; pending runs were cancelled" } else { "" };
        format!("{} scheduled job {}{runs}. Undo: {}", self.done, self.id(), self.undo(layout))
    }

    /// The reason why the change has no effect.
    fn nothing(&self) -> Option<String> {
        let is_same = state(&self.before) == state(&self.planned);
        is_same.then(|| format!("scheduled job {} is {} already", self.id(), status(&self.before)))
    }

    /// The command that restores the status before the change.
    fn undo(&self, layout: &Layout) -> String {
        let before = &self.before;
        let verb = match (before.deleted_at, self.planned.deleted_at, before.status()) {
            (None, Some(_), _) => "undelete",
            (Some(_), _, _) => "delete",
            (None, None, ScheduledJobStatus::Paused) => "pause",
            (None, None, ScheduledJobStatus::Inactive) => "deactivate",
            (None, None, ScheduledJobStatus::Active | ScheduledJobStatus::Unspecified) => "resume",
        };
        let mut undo = command_line(["windrow", "jobs", verb, &before.scheduled_job_id]);
        if verb == "pause" {
            let reason = Some(before.pause_reason.as_str()).filter(|reason| !reason.is_empty());
            let until = before.paused_until.map(|until| exact(layout, &until));
            undo.extend(reason.map(|reason| format!(" {}", flag("--reason", reason))));
            undo.extend(until.map(|until| format!(" {}", flag("--until", &until))));
        }
        undo
    }

    fn id(&self) -> String {
        clean(&self.before.scheduled_job_id)
    }
}

/// The part of a job that these commands change.
fn state(job: &ScheduledJob) -> (i32, &str, Option<Timestamp>, bool) {
    (job.status, &job.pause_reason, job.paused_until, job.deleted_at.is_some())
}

fn status(job: &ScheduledJob) -> String {
    match job.deleted_at {
        Some(_) => "deleted".to_owned(),
        None => word(job.status().as_str_name(), "SCHEDULED_JOB_STATUS_"),
    }
}

/// As the reader sees times, if that loses nothing.
fn exact(layout: &Layout, at: &Timestamp) -> String {
    if at.nanos == 0 { layout.instant(at) } else { at.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(status: ScheduledJobStatus) -> ScheduledJob {
        ScheduledJob {
            scheduled_job_id: "x".to_owned(),
            status: status.into(),
            ..Default::default()
        }
    }

    fn paused(reason: &str, until: Option<Timestamp>) -> ScheduledJob {
        let job = job(ScheduledJobStatus::Paused);
        ScheduledJob { pause_reason: reason.to_owned(), paused_until: until, ..job }
    }

    fn deleted() -> ScheduledJob {
        ScheduledJob { deleted_at: Some(Timestamp::default()), ..job(ScheduledJobStatus::Active) }
    }

    fn change(before: &ScheduledJob, planned: &ScheduledJob) -> StatusChange {
        let (before, planned) = (before.clone(), planned.clone());
        StatusChange { verb: "verb", done: "Done", before, planned }
    }

    #[test]
    fn the_undo_command_restores_the_status_before_with_its_pause() {
        let check = |before: &ScheduledJob, planned: &ScheduledJob, expected: &str| {
            assert_eq!(change(before, planned).undo(&Layout::fixed(None, 0)), expected);
        };
        let [active, inactive] =
            [ScheduledJobStatus::Active, ScheduledJobStatus::Inactive].map(job);
        let until = Some(Timestamp { seconds: 90, nanos: 0 });
        let held = paused("it's down", until);
        let restored = r"windrow jobs pause x --reason 'it'\''s down' --until 1970-01-01T00:01:30Z";

        check(&active, &held, "windrow jobs resume x");
        check(&inactive, &held, "windrow jobs deactivate x");
        check(&inactive, &active, "windrow jobs deactivate x");
        check(&held, &active, restored);
        check(&held, &inactive, restored);
        check(&held, &paused("", None), restored);
        check(&paused("", None), &active, "windrow jobs pause x");
        check(&paused("-x", None), &active, "windrow jobs pause x --reason=-x");
        check(&active, &deleted(), "windrow jobs undelete x");
        check(&deleted(), &active, "windrow jobs delete x");
        let exact = Some(Timestamp { seconds: 90, nanos: 5_000_000 });
        let exactly = "windrow jobs pause x --until 1970-01-01T00:01:30.005Z";
        check(&paused("", exact), &active, exactly);
    }

    #[test]
    fn a_change_to_the_same_status_changes_nothing() {
        let check = |job: &ScheduledJob, status: &str| {
            let same = change(job, job);
            let nothing = format!("scheduled job x is {status} already");
            assert_eq!(same.result(&Layout::fixed(None, 0)), format!("Nothing changed: {nothing}"));
            assert_eq!(same.intent(), format!("Dry run: would change nothing: {nothing}"));
        };
        check(&job(ScheduledJobStatus::Active), "active");
        check(&job(ScheduledJobStatus::Inactive), "inactive");
        check(&paused("down", None), "paused");
        check(&deleted(), "deleted");
    }
}
