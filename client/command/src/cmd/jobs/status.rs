//! `windrow jobs pause`, `resume`, `deactivate`, `delete` and `undelete`.

use clap::Args;
use prost_types::Timestamp;
use windrow_client::Client;
use windrow_client::proto::{ScheduledJob, ScheduledJobStatus};

use super::status_change::StatusChange;
use crate::failure::Failure;
use crate::flags::{DryRunFlag, time};
use crate::output::Output;

#[derive(Debug, Args)]
pub(crate) struct PauseArgs {
    /// ID of the scheduled job.
    #[arg(value_name = "JOB")]
    scheduled_job_id: String,
    /// Reason to show, up to 200 characters.
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
    /// End of the pause, for example 2026-12-01T06:00:00Z [default: until it is resumed].
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
    #[command(flatten)]
    dry_run: DryRunFlag,
}

#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// ID of the scheduled job.
    #[arg(value_name = "JOB")]
    scheduled_job_id: String,
    /// Apply the catch-up policy of the job to the ticks of the pause; otherwise they create no runs.
    #[arg(long)]
    catch_up: bool,
    #[command(flatten)]
    dry_run: DryRunFlag,
}

#[derive(Debug, Args)]
pub(crate) struct DeactivateArgs {
    /// ID of the scheduled job.
    #[arg(value_name = "JOB")]
    scheduled_job_id: String,
    #[command(flatten)]
    dry_run: DryRunFlag,
}

#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// ID of the scheduled job.
    #[arg(value_name = "JOB")]
    scheduled_job_id: String,
    /// Fail if the job was changed since it had this etag; see `windrow jobs get`.
    #[arg(long, default_value = "", hide_default_value = true)]
    etag: String,
    #[command(flatten)]
    dry_run: DryRunFlag,
}

#[derive(Debug, Args)]
pub(crate) struct UndeleteArgs {
    /// ID of the scheduled job.
    #[arg(value_name = "JOB")]
    scheduled_job_id: String,
    #[command(flatten)]
    dry_run: DryRunFlag,
}

pub(super) async fn pause(client: &Client, output: Output, args: PauseArgs) -> Result<(), Failure> {
    let before = client.get_job(&args.scheduled_job_id).await?;
    let planned = ScheduledJob {
        pause_reason: args.reason.clone(),
        paused_until: args.until,
        ..with_status(&before, ScheduledJobStatus::Paused)
    };
    let change = StatusChange { verb: "pause", done: "Paused", before, planned };
    let call = client.pause_job(args.scheduled_job_id).reason(args.reason);
    let call = args.until.into_iter().fold(call, windrow_client::PauseJob::until);
    change.make(output, args.dry_run, call).await
}

pub(super) async fn resume(
    client: &Client,
    output: Output,
    args: ResumeArgs,
) -> Result<(), Failure> {
    let before = client.get_job(&args.scheduled_job_id).await?;
    let planned = with_status(&before, ScheduledJobStatus::Active);
    let change = StatusChange { verb: "resume", done: "Resumed", before, planned };
    let call = client.resume_job(args.scheduled_job_id);
    let call = if args.catch_up { call.catch_up() } else { call };
    change.make(output, args.dry_run, call).await
}

pub(super) async fn deactivate(
    client: &Client,
    output: Output,
    args: DeactivateArgs,
) -> Result<(), Failure> {
    let before = client.get_job(&args.scheduled_job_id).await?;
    let planned = with_status(&before, ScheduledJobStatus::Inactive);
    let change = StatusChange { verb: "deactivate", done: "Deactivated", before, planned };
    change.make(output, args.dry_run, client.deactivate_job(args.scheduled_job_id)).await
}

pub(super) async fn delete(
    client: &Client,
    output: Output,
    args: DeleteArgs,
) -> Result<(), Failure> {
    let before = client.get_job(&args.scheduled_job_id).await?;
    // The time does not matter.
    let deleted_at = Some(before.deleted_at.unwrap_or_default());
    let planned = ScheduledJob { deleted_at, ..before.clone() };
    let change = StatusChange { verb: "delete", done: "Deleted", before, planned };
    let call = client.delete_job(args.scheduled_job_id).etag(args.etag);
    change.make(output, args.dry_run, call).await
}

pub(super) async fn undelete(
    client: &Client,
    output: Output,
    args: UndeleteArgs,
) -> Result<(), Failure> {
    let before = client.get_job(&args.scheduled_job_id).await?;
    let planned = ScheduledJob { deleted_at: None, ..before.clone() };
    let change = StatusChange { verb: "undelete", done: "Undeleted", before, planned };
    change.make(output, args.dry_run, client.undelete_job(args.scheduled_job_id)).await
}

/// The job with another status, and without the reason and the end of a pause.
fn with_status(job: &ScheduledJob, status: ScheduledJobStatus) -> ScheduledJob {
    ScheduledJob {
        status: status.into(),
        pause_reason: String::new(),
        paused_until: None,
        ..job.clone()
    }
}
