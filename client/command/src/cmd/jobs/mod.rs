//! `windrow jobs …` and `windrow stats`: scheduled jobs.

mod edit;
mod export;
mod status;
mod status_change;

use clap::{Args, Subcommand};
use futures::TryStreamExt;
use windrow_client::Client;
use windrow_client::proto::{self, ScheduledJobStatus};

use crate::failure::Failure;
use crate::flags::{ListFlags, duration, scheduled_job_status};
use crate::output::{Output, warn};
use crate::render::{self, PageCount};
pub(crate) use edit::without_default;
use edit::{CreateArgs, UpdateArgs};
use export::ExportArgs;
use status::{DeactivateArgs, DeleteArgs, PauseArgs, ResumeArgs, UndeleteArgs};

const LIST: &str = "LAST is the status of the run that ended last, NEXT the time to the next tick.

Filters: up to 20 comparisons joined by AND, each optionally preceded by NOT.
  status, priority           =  !=
  parameters.source          =
  created_at                 <  <=  >  >=   with a quoted RFC 3339 time
  labels.KEY                 =  !=
  labels:KEY                 the label exists

Examples:
  windrow jobs list --status paused
  windrow jobs list --filter 'labels.team = sales AND NOT labels:draft'
  windrow jobs list --all -q";

#[derive(Debug, Subcommand)]
pub(crate) enum JobsCommand {
    /// Create an active scheduled job.
    Create(CreateArgs),
    /// Show a scheduled job and its newest runs.
    Get(GetArgs),
    /// List scheduled jobs, ordered by id.
    #[command(after_long_help = LIST)]
    List(ListArgs),
    /// Write scheduled jobs as `windrow apply` reads them.
    Export(ExportArgs),
    /// Change the given settings and keep all others.
    #[command(mut_args(edit::without_default))]
    Update(UpdateArgs),
    /// Pause a scheduled job: its ticks create no runs until it is resumed.
    Pause(PauseArgs),
    /// Make a paused or inactive scheduled job active.
    Resume(ResumeArgs),
    /// Deactivate a scheduled job: its ticks create no runs until it is resumed.
    Deactivate(DeactivateArgs),
    /// Delete a scheduled job and cancel its pending runs.
    Delete(DeleteArgs),
    /// Restore a deleted scheduled job.
    Undelete(UndeleteArgs),
}

#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// ID of the scheduled job.
    #[arg(value_name = "JOB")]
    scheduled_job_id: String,
    /// Maximum number of runs to show, up to 1000.
    #[arg(long, value_name = "N", default_value_t = 10)]
    limit: i32,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only jobs with this status.
    #[arg(long, value_parser = scheduled_job_status())]
    status: Option<ScheduledJobStatus>,
    /// Include deleted jobs.
    #[arg(long)]
    show_deleted: bool,
    /// Only matching jobs, for example 'labels.team = sales'; --help lists the fields.
    #[arg(long, default_value = "", hide_default_value = true)]
    filter: String,
    #[command(flatten)]
    list: ListFlags,
}

#[derive(Debug, Args)]
#[command(after_long_help = "Example: windrow stats daily-sold --window 7d")]
pub(crate) struct StatsArgs {
    /// ID of the scheduled job.
    #[arg(value_name = "JOB")]
    scheduled_job_id: String,
    /// Only runs that ended in this period up to now, for example 7d or 12h.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "30d")]
    window: prost_types::Duration,
}

impl JobsCommand {
    /// Rejects wrong usage before connecting.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        match self {
            Self::Create(args) => args.check(),
            Self::Update(args) => args.check(),
            _ => Ok(()),
        }
    }
}

pub(crate) async fn run(
    client: &Client,
    output: Output,
    command: JobsCommand,
) -> Result<u8, Failure> {
    match command {
        JobsCommand::Create(args) => edit::create(client, output, args).await?,
        JobsCommand::Get(args) => get(client, output, args).await?,
        JobsCommand::List(args) => list(client, output, args).await?,
        JobsCommand::Export(args) => export::export(client, output, args).await?,
        JobsCommand::Update(args) => edit::update(client, output, args).await?,
        JobsCommand::Pause(args) => status::pause(client, output, args).await?,
        JobsCommand::Resume(args) => status::resume(client, output, args).await?,
        JobsCommand::Deactivate(args) => status::deactivate(client, output, args).await?,
        JobsCommand::Delete(args) => status::delete(client, output, args).await?,
        JobsCommand::Undelete(args) => status::undelete(client, output, args).await?,
    }
    Ok(0)
}

pub(crate) async fn stats(client: &Client, output: Output, args: StatsArgs) -> Result<u8, Failure> {
    let (scheduled_job_id, window) = (args.scheduled_job_id, Some(args.window));
    let request = proto::GetScheduledJobStatsRequest { scheduled_job_id, window };
    let response = client.raw().get_scheduled_job_stats(request).await?;
    output.show(&response, &[], |layout| render::stats(layout, &response))?;
    Ok(0)
}

async fn get(client: &Client, output: Output, args: GetArgs) -> Result<(), Failure> {
    let (scheduled_job_id, limit) = (args.scheduled_job_id, args.limit);
    let request = proto::GetScheduledJobRequest { scheduled_job_id, include_runs: None, limit };
    let response = client.raw().get_scheduled_job(request).await?;
    let job = response.scheduled_job.as_ref();
    let id = job.map_or("", |job| &job.scheduled_job_id);
    output.show(&response, &[id], |layout| render::job_with_runs(layout, &response))?;
    warn(None, job.map_or(&[], |job| &job.warnings));
    Ok(())
}

async fn list(client: &Client, output: Output, args: ListArgs) -> Result<(), Failure> {
    let mut jobs = client.list_jobs().filter(args.filter);
    if let Some(status) = args.status {
        jobs = jobs.status(status);
    }
    if args.show_deleted {
        jobs = jobs.show_deleted();
    }
    let response = if args.list.all {
        let scheduled_jobs: Vec<_> = jobs.stream().try_collect().await?;
        let total = i64::try_from(scheduled_jobs.len()).unwrap_or(i64::MAX);
        proto::ListScheduledJobsResponse { scheduled_jobs, total, ..Default::default() }
    } else {
        jobs.page_size(args.list.limit).await?
    };
    let jobs = &response.scheduled_jobs;
    let ids: Vec<_> = jobs.iter().map(|job| job.scheduled_job_id.as_str()).collect();
    let total = PageCount { shown: jobs.len(), total: response.total, is_lower_bound: false };
    output.show(&response, &ids, |layout| render::jobs(layout, jobs, &total))
}

/// Shows a job after a call that changed it, below what happened.
fn show_changed(output: Output, lead: &str, job: proto::ScheduledJob) -> Result<(), Failure> {
    let response = proto::UpdateScheduledJobResponse { scheduled_job: Some(job) };
    let job = response.scheduled_job.clone().unwrap_or_default();
    let show = |layout: &render::Layout| render::changed_job(layout, lead, &job);
    output.show(&response, &[&job.scheduled_job_id], show)
}
