//! `windrow trigger` and `windrow runs …`.

mod cancel;
mod logs;
mod start;

use clap::{Args, Subcommand};
use futures::TryStreamExt;
use windrow_client::Client;
use windrow_client::proto::{self, ScrapingJobStatus};

use super::check_job;
use crate::failure::Failure;
use crate::flags::{ListFlags, scraping_job_status};
use crate::output::Output;
use crate::render::{self, PageCount};
pub(crate) use start::{TriggerArgs, trigger};

const LIST: &str = "FAILED is the number of failed locations.

Filters: up to 20 comparisons joined by AND, each optionally preceded by NOT.
  status, priority, origin   =  !=
  scheduled_job_id           =
  failed_locations           =  !=  <  <=  >  >=
  parameters.source          =
  created_at                 <  <=  >  >=   with a quoted RFC 3339 time
  labels.KEY                 =  !=
  labels:KEY                 the label exists

Examples:
  windrow runs list --job daily-sold --failed-locations
  windrow runs list --filter 'status = failed AND created_at > \"2026-12-01T00:00:00Z\"'
  windrow runs list --status pending --all -q";

#[derive(Debug, Subcommand)]
pub(crate) enum RunsCommand {
    /// Show a run.
    Get(GetArgs),
    /// List runs, newest first.
    #[command(after_long_help = LIST)]
    List(ListArgs),
    /// Cancel a run, or all runs of a job or a filter.
    Cancel(cancel::CancelArgs),
    /// Create a run for the locations that an ended run did not complete.
    Retry(start::RetryArgs),
    /// Show the log of a run.
    Logs(logs::LogsArgs),
    /// Create a one-off run without a scheduled job.
    Submit(start::SubmitArgs),
}

#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// ID of the run.
    #[arg(value_name = "RUN")]
    job_id: String,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only runs of this scheduled job.
    #[arg(long = "job", value_name = "JOB", default_value = "", hide_default_value = true)]
    scheduled_job_id: String,
    /// Only runs with this status.
    #[arg(long, value_parser = scraping_job_status())]
    status: Option<ScrapingJobStatus>,
    /// Only runs with failed locations: the filter `failed_locations > 0`.
    #[arg(long)]
    failed_locations: bool,
    /// Only matching runs, for example 'labels.team = sales'; --help lists the fields.
    #[arg(long, default_value = "", hide_default_value = true)]
    filter: String,
    #[command(flatten)]
    list: ListFlags,
}

impl RunsCommand {
    /// Rejects wrong usage before connecting.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if let Self::Submit(args) = self { args.check() } else { Ok(()) }
    }
}

impl ListArgs {
    fn filter(&self) -> String {
        let given = Some(self.filter.trim()).filter(|filter| !filter.is_empty());
        let failed = self.failed_locations.then_some("failed_locations > 0");
        given.into_iter().chain(failed).collect::<Vec<_>>().join(" AND ")
    }
}

pub(crate) async fn run(
    client: &Client,
    output: Output,
    command: RunsCommand,
) -> Result<u8, Failure> {
    match command {
        RunsCommand::Get(args) => get(client, output, &args.job_id).await?,
        RunsCommand::List(args) => list(client, output, args).await?,
        RunsCommand::Cancel(args) => cancel::cancel(client, output, args).await?,
        RunsCommand::Retry(args) => return start::retry(client, output, args).await,
        RunsCommand::Logs(args) => logs::show(client, output, args).await?,
        RunsCommand::Submit(args) => return start::submit(client, output, args).await,
    }
    Ok(0)
}

async fn get(client: &Client, output: Output, id: &str) -> Result<(), Failure> {
    let scraping_job = Some(client.get_run(id).await?);
    let response = proto::GetScrapingJobResponse { scraping_job };
    output.show(&response, &[id], |layout| render::run(layout, response.scraping_job.as_ref()))
}

async fn list(client: &Client, output: Output, args: ListArgs) -> Result<(), Failure> {
    let (filter, job) = (args.filter(), args.scheduled_job_id);
    let mut runs = client.list_runs().job(&job).filter(filter);
    if let Some(status) = args.status {
        runs = runs.status(status);
    }
    let response = if args.list.all {
        let scraping_jobs: Vec<_> = runs.stream().try_collect().await?;
        let total = i64::try_from(scraping_jobs.len()).unwrap_or(i64::MAX);
        proto::ListScrapingJobsResponse { scraping_jobs, total, ..Default::default() }
    } else {
        runs.page_size(args.list.limit).await?
    };
    let runs = &response.scraping_jobs;
    if runs.is_empty() && !job.is_empty() {
        check_job(client, &job).await?;
    }
    let ids: Vec<_> = runs.iter().map(|run| run.job_id.as_str()).collect();
    let (shown, is_lower_bound) = (runs.len(), response.total_is_lower_bound);
    let total = PageCount { shown, total: response.total, is_lower_bound };
    output.show(&response, &ids, |layout| render::runs(layout, runs, &total))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct List {
        #[command(flatten)]
        args: ListArgs,
    }

    #[test]
    fn failed_locations_are_a_condition_of_the_filter() {
        let filter = |flags: &[&str]| List::parse_from([&["list"], flags].concat()).args.filter();
        assert_eq!(filter(&[]), "");
        assert_eq!(filter(&["--failed-locations"]), "failed_locations > 0");
        let both = filter(&["--failed-locations", "--filter", "status = completed"]);
        assert_eq!(both, "status = completed AND failed_locations > 0");
    }
}
