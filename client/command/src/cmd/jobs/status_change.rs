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
        if dry_run.dry_run {
            return show_changed(output, &self.intent()?, self.before);
        }
        let job = call.await?;
        show_changed(output, &self.result(&output.layout, &job), job)
    }

    fn intent(&self) -> Result<String, Failure> {
        let id = self.id();
        if let Some(reason) = self.refusal() {
            return Err(Failure::Refused(format!("scheduled job {id} {reason}")));
        }
        Ok(match self.nothing() {
            Some(nothing) => format!("Dry run: would change nothing: {nothing}"),
            None => format!("Dry run: would {} scheduled job {id}", self.verb),
        })
    }

    /// As the server refuses the change.
    fn refusal(&self) -> Option<&'static str> {
        match (self.before.deleted_at, self.verb) {
            (Some(_), "pause" | "resume" | "deactivate") => Some("is deleted; undelete it first"),
            (None, "undelete") => Some("is not deleted"),
            (_, _) => None,
        }
    }

    fn result(&self, layout: &Layout, after: &ScheduledJob) -> String {
        let id = self.id();
        if let Some(nothing) = self.nothing() {
            // The resume of an active job takes back what was decided while the clock was ahead.
            let is_changed = self.verb == "resume" && after.updated_at != self.before.updated_at;
            let resumed =
                is_changed.then(|| format!("Resumed scheduled job {id}, which was active"));
            return resumed.unwrap_or_else(|| format!("Nothing changed: {nothing}"));
        }
        let is_deleted = self.planned.deleted_at.is_some();
        let runs = if is_deleted { "; pending runs were cancelled" } else { "" };
        format!("{} scheduled job {id}{runs}. Undo: {}", self.done, self.undo(layout))
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
            let result = same.result(&Layout::fixed(None, 0), job);
            assert_eq!(result, format!("Nothing changed: {nothing}"));
            let intent = format!("Dry run: would change nothing: {nothing}");
            assert_eq!(same.intent().unwrap(), intent);
        };
        check(&job(ScheduledJobStatus::Active), "active");
        check(&job(ScheduledJobStatus::Inactive), "inactive");
        check(&paused("down", None), "paused");
        check(&deleted(), "deleted");
    }

    #[test]
    fn a_resume_that_corrects_the_ticks_of_an_active_job_is_one() {
        let active = job(ScheduledJobStatus::Active);
        let updated_at = Some(Timestamp { seconds: 90, nanos: 0 });
        let after = ScheduledJob { updated_at, ..active.clone() };
        let resumed = StatusChange { verb: "resume", ..change(&active, &active) };
        let result = resumed.result(&Layout::fixed(None, 0), &after);
        assert_eq!(result, "Resumed scheduled job x, which was active");
    }

    #[test]
    fn a_dry_run_is_refused_where_the_change_is() {
        let check = |before: &ScheduledJob, verb: &'static str, expected: &str| {
            let refused = StatusChange { verb, ..change(before, before) }.intent().unwrap_err();
            assert_eq!(refused.to_string(), expected);
        };
        for verb in ["pause", "resume", "deactivate"] {
            check(&deleted(), verb, "scheduled job x is deleted; undelete it first");
        }
        check(&job(ScheduledJobStatus::Active), "undelete", "scheduled job x is not deleted");
    }
}
