//! `windrow runs cancel`.

use clap::{ArgGroup, Args};
use windrow_client::Client;
use windrow_client::proto::{self, ScrapingJob, ScrapingJobStatus};

use crate::cmd::check_job;
use crate::failure::Failure;
use crate::flags::DryRunFlag;
use crate::json::word;
use crate::output::Output;
use crate::render;

#[derive(Debug, Args)]
#[command(group(
    ArgGroup::new("runs")
        .args(["job_id", "scheduled_job_id", "filter"])
        .required(true)
        .multiple(true)
))]
#[command(
    after_long_help = "A pending run ends immediately. The worker of a running run is asked to stop and
has ten seconds for it.

Examples:
  windrow runs cancel triggered_daily-sold_1736841234_0123456789ab
  windrow runs cancel --filter 'labels.team = sales' --dry-run"
)]
pub(crate) struct CancelArgs {
    /// ID of the run.
    #[arg(value_name = "RUN")]
    job_id: Option<String>,
    /// Cancel all active runs of this scheduled job instead.
    #[arg(long = "job", value_name = "JOB", conflicts_with = "job_id")]
    scheduled_job_id: Option<String>,
    /// Cancel all matching active runs instead; see `windrow runs list --help`.
    #[arg(long, conflicts_with = "job_id")]
    filter: Option<String>,
    #[command(flatten)]
    dry_run: DryRunFlag,
}

pub(super) async fn cancel(
    client: &Client,
    output: Output,
    args: CancelArgs,
) -> Result<(), Failure> {
    let is_dry_run = args.dry_run.dry_run;
    match &args.job_id {
        Some(job_id) => one(client, output, job_id, is_dry_run).await,
        None => many(client, output, args).await,
    }
}

async fn one(client: &Client, output: Output, id: &str, is_dry_run: bool) -> Result<(), Failure> {
    let before = client.get_run(id).await?;
    let nothing = nothing_to_do(&before);
    // The contract has no validation of this call.
    let run = if is_dry_run { check(before)? } else { client.cancel_run(id).await? };
    let lead = if let Some(nothing) = nothing {
        format!("Nothing changed: {nothing}")
    } else if is_dry_run {
        format!("Dry run: would cancel run {id}")
    } else if run.completed_at.is_some() {
        format!("Cancelled run {id}. Repeat it: windrow trigger {id}")
    } else {
        format!("Asked the worker of run {id} to stop. Follow it: windrow watch {id}")
    };
    let response = proto::CancelScrapingJobResponse { scraping_job: Some(run) };
    output.show(&response, &[id], |layout| {
        format!("{lead}\n\n{}", render::run(layout, response.scraping_job.as_ref()))
    })
}

/// What an earlier cancellation has done already.
fn nothing_to_do(run: &ScrapingJob) -> Option<String> {
    let id = &run.job_id;
    match run.status() {
        ScrapingJobStatus::Cancelled => Some(format!("run {id} is cancelled")),
        ScrapingJobStatus::Running if run.cancel_requested_at.is_some() => {
            Some(format!("the worker of run {id} was asked to stop before"))
        }
        _ => None,
    }
}

/// The error of the server for a run that has ended otherwise.
fn check(run: ScrapingJob) -> Result<ScrapingJob, Failure> {
    let status = run.status();
    if run.completed_at.is_none() || status == ScrapingJobStatus::Cancelled {
        return Ok(run);
    }
    let status = word(status.as_str_name(), "SCRAPING_JOB_STATUS_");
    Err(Failure::Refused(format!("run {} is {status} and cannot be cancelled", run.job_id)))
}

async fn many(client: &Client, output: Output, args: CancelArgs) -> Result<(), Failure> {
    let is_dry_run = args.dry_run.dry_run;
    let (job, filter) =
        (args.scheduled_job_id.unwrap_or_default(), args.filter.unwrap_or_default());
    let call = client.cancel_runs().job(&job).filter(filter);
    let response = if is_dry_run { call.validate_only().await? } else { call.await? };
    let (pending, running) = (response.cancelled, response.cancel_requested);
    if pending + running == 0 && !job.is_empty() {
        check_job(client, &job).await?;
    }
    output.show(&response, &[], |_| match (pending + running, is_dry_run) {
        (0, _) => "No active runs match. List all runs: windrow runs list".to_owned(),
        (_, true) => format!(
            "Dry run: would cancel {pending} pending runs and ask the workers of {running} to stop"
        ),
        (_, false) => {
            format!("Cancelled {pending} pending runs and asked the workers of {running} to stop")
        }
    })
}
