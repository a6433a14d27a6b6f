//! `windrow jobs pause`, `resume`, `deactivate`, `delete` and `undelete`.

use clap::Args;
use prost_types::Timestamp;
use windrow_client::Client;

use super::show_changed;
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
    let id = args.scheduled_job_id;
    if args.dry_run.dry_run {
        return dry_run(client, output, "pause", &id).await;
    }
    let mut call = client.pause_job(&id).reason(args.reason);
    if let Some(end) = args.until {
        call = call.until(end);
    }
    let lead = format!("Paused scheduled job {id}. Undo: windrow jobs resume {id}");
    show_changed(output, &lead, call.await?)
}

pub(super) async fn resume(
    client: &Client,
    output: Output,
    args: ResumeArgs,
) -> Result<(), Failure> {
    let id = args.scheduled_job_id;
    if args.dry_run.dry_run {
        return dry_run(client, output, "resume", &id).await;
    }
    let call = client.resume_job(&id);
    let call = if args.catch_up { call.catch_up() } else { call };
    let lead = format!("Resumed scheduled job {id}. Undo: windrow jobs pause {id}");
    show_changed(output, &lead, call.await?)
}

pub(super) async fn deactivate(
    client: &Client,
    output: Output,
    args: DeactivateArgs,
) -> Result<(), Failure> {
    let id = args.scheduled_job_id;
    if args.dry_run.dry_run {
        return dry_run(client, output, "deactivate", &id).await;
    }
    let lead = format!("Deactivated scheduled job {id}. Undo: windrow jobs resume {id}");
    show_changed(output, &lead, client.deactivate_job(&id).await?)
}

pub(super) async fn delete(
    client: &Client,
    output: Output,
    args: DeleteArgs,
) -> Result<(), Failure> {
    let id = args.scheduled_job_id;
    if args.dry_run.dry_run {
        return dry_run(client, output, "delete", &id).await;
    }
    let job = client.delete_job(&id).etag(args.etag).await?;
    let lead = format!(
        "Deleted scheduled job {id}; pending runs were cancelled. Undo: windrow jobs undelete {id}"
    );
    show_changed(output, &lead, job)
}

pub(super) async fn undelete(
    client: &Client,
    output: Output,
    args: UndeleteArgs,
) -> Result<(), Failure> {
    let id = args.scheduled_job_id;
    if args.dry_run.dry_run {
        return dry_run(client, output, "undelete", &id).await;
    }
    let lead = format!("Undeleted scheduled job {id}. Undo: windrow jobs delete {id}");
    show_changed(output, &lead, client.undelete_job(&id).await?)
}

/// Checks that the job exists. The contract has no validation of these calls.
async fn dry_run(client: &Client, output: Output, verb: &str, id: &str) -> Result<(), Failure> {
    let job = client.get_job(id).await?;
    show_changed(output, &format!("Dry run: would {verb} scheduled job {id}"), job)
}
