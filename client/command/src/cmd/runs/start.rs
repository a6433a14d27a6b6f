//! `windrow trigger`, `windrow runs submit` and `windrow runs retry`: commands that create a run.

use clap::Args;
use prost_types::Timestamp;
use windrow_client::Client;
use windrow_client::proto::{self, ScrapingJob, ScrapingJobPriority};

use crate::cmd::watch::{self, Start};
use crate::failure::Failure;
use crate::flags::{
    CreationFlags, ParameterFlags, PolicyFlags, check_labels, label, priority, time,
};
use crate::output::{Output, warn};
use crate::render::{self, clean};

#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  windrow trigger daily-sold --location 46220 --watch
  run=$(windrow trigger daily-sold -q)")]
pub(crate) struct TriggerArgs {
    /// ID of a scheduled job, or of a run to repeat.
    #[arg(value_name = "JOB")]
    job_id: String,
    /// Location to scrape instead of those of the job; repeatable.
    #[arg(long = "location", value_name = "LOCATION")]
    locations: Vec<String>,
    #[command(flatten)]
    run: RunFlags,
    #[command(flatten)]
    overrides: ParameterFlags,
}

#[derive(Debug, Args)]
#[command(
    after_long_help = "Example: windrow runs submit --location 46220 --source sample --watch"
)]
pub(crate) struct SubmitArgs {
    /// Location to scrape, for example 'Indianapolis, IN' or a ZIP code; repeatable (required).
    #[arg(long = "location", value_name = "LOCATION", required = true)]
    locations: Vec<String>,
    /// Earliest start, for example 2026-12-01T06:00:00Z [default: now].
    #[arg(long = "at", value_name = "TIME", value_parser = time)]
    available_at: Option<Timestamp>,
    #[command(flatten)]
    run: RunFlags,
    #[command(flatten)]
    parameters: ParameterFlags,
    #[command(flatten)]
    policy: Box<PolicyFlags>,
}

#[derive(Debug, Args)]
pub(crate) struct RetryArgs {
    /// ID of the ended run.
    #[arg(value_name = "RUN")]
    job_id: String,
    /// Follow the new run until it ends.
    #[arg(long, conflicts_with = "dry_run")]
    watch: bool,
    /// Priority [default: immediate].
    #[arg(long, value_parser = priority())]
    priority: Option<ScrapingJobPriority>,
    #[command(flatten)]
    creation: CreationFlags,
}

#[derive(Debug, Args)]
pub(crate) struct RunFlags {
    /// Follow the run until it ends; the exit code says how it ended.
    #[arg(long, conflicts_with = "dry_run")]
    watch: bool,
    /// Priority [default: normal].
    #[arg(long, value_parser = priority())]
    priority: Option<ScrapingJobPriority>,
    /// Label of the run; repeatable.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    #[command(flatten)]
    creation: CreationFlags,
}

impl TriggerArgs {
    pub(crate) fn check(&self) -> Result<(), Failure> {
        check_labels(&self.run.labels)
    }
}

impl SubmitArgs {
    pub(super) fn check(&self) -> Result<(), Failure> {
        check_labels(&self.run.labels)
    }
}

pub(crate) async fn trigger(
    client: &Client,
    output: Output,
    args: TriggerArgs,
) -> Result<u8, Failure> {
    let overrides = args.overrides.into_proto(args.locations);
    let request = proto::TriggerJobRequest {
        job_id: args.job_id,
        priority: args.run.priority.unwrap_or_default().into(),
        overrides: (overrides != proto::ScrapeParameters::default()).then_some(overrides),
        request_id: args.run.creation.request_id,
        validate_only: args.run.creation.dry_run,
        labels: args.run.labels.into_iter().collect(),
    };
    let response = client.raw().trigger_job(request).await?;
    let run = response.scraping_job.clone().unwrap_or_default();
    let lead = clean(&response.message);
    let is_watched = args.run.watch;
    output.show(&response, &ids(&run), |layout| {
        if run.job_id.is_empty() {
            dry_run(layout, &run)
        } else {
            render::run_id_lines(&lead, &run, is_watched)
        }
    })?;
    warn(None, &response.warnings);
    follow(client, output, &run, is_watched).await
}

pub(super) async fn submit(
    client: &Client,
    output: Output,
    args: SubmitArgs,
) -> Result<u8, Failure> {
    let request = proto::SubmitScrapingJobRequest {
        parameters: Some(args.parameters.into_proto(args.locations)),
        priority: args.run.priority.unwrap_or_default().into(),
        available_at: args.available_at,
        request_id: args.run.creation.request_id,
        validate_only: args.run.creation.dry_run,
        labels: args.run.labels.into_iter().collect(),
        policy: args.policy.into_proto(),
    };
    let run = client.submit_run(request).await?;
    show_new(output, "Submitted a one-off run", &run, args.run.watch)?;
    follow(client, output, &run, args.run.watch).await
}

pub(super) async fn retry(client: &Client, output: Output, args: RetryArgs) -> Result<u8, Failure> {
    let request = proto::RetryFailedLocationsRequest {
        job_id: args.job_id.clone(),
        priority: args.priority.unwrap_or_default().into(),
        request_id: args.creation.request_id,
        validate_only: args.creation.dry_run,
    };
    let response = client.raw().retry_failed_locations(request).await?;
    let run = response.scraping_job.ok_or(Failure::Incomplete("run"))?;
    let lead = format!("Created a run for {} locations of {}", run.total_locations, args.job_id);
    show_new(output, &lead, &run, args.watch)?;
    warn(None, &response.warnings);
    follow(client, output, &run, args.watch).await
}

fn show_new(
    output: Output,
    lead: &str,
    run: &ScrapingJob,
    is_watched: bool,
) -> Result<(), Failure> {
    let response = proto::GetScrapingJobResponse { scraping_job: Some(run.clone()) };
    output.show(&response, &ids(run), |layout| {
        if run.job_id.is_empty() {
            dry_run(layout, run)
        } else {
            render::run_id_lines(lead, run, is_watched)
        }
    })
}

/// The run that would be created. It has no id yet.
fn dry_run(layout: &render::Layout, run: &ScrapingJob) -> String {
    format!("Dry run: would create this run\n\n{}", render::run(layout, Some(run)))
}

fn ids(run: &ScrapingJob) -> Vec<&str> {
    Some(run.job_id.as_str()).filter(|id| !id.is_empty()).into_iter().collect()
}

async fn follow(
    client: &Client,
    output: Output,
    run: &ScrapingJob,
    is_watched: bool,
) -> Result<u8, Failure> {
    if is_watched { watch::one(client, output, &run.job_id, Start::History).await } else { Ok(0) }
}
