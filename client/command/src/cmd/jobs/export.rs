//! `windrow jobs export`: scheduled jobs as `windrow apply` reads them.

use clap::Args;
use futures::{StreamExt, TryStreamExt};
use windrow_client::Client;
use windrow_client::proto::ScheduledJob;

use crate::document::{Settings, write};
use crate::failure::Failure;
use crate::flags::Selector;
use crate::json::text;
use crate::output::{Format, Lines, Output, warn};

const HEADER: &str = "# Scheduled jobs, written by `windrow jobs export` for `windrow apply`.
# A field that is left out has its default. Status, pauses and history are not in files.";

#[derive(Debug, Args)]
#[command(
    after_long_help = "The output is what `windrow apply` reads. Applying it to the same server changes nothing.
Fields with their defaults are left out, and so are status, pauses and history; a comment says
which jobs are paused or inactive.

Examples:
  windrow jobs export > jobs.yaml
  windrow jobs export daily-sold weekly-rent
  windrow jobs export --selector team=sales | windrow apply -f - --server staging.internal"
)]
pub(crate) struct ExportArgs {
    /// IDs of the scheduled jobs [default: all that are not deleted].
    #[arg(value_name = "JOB")]
    scheduled_job_ids: Vec<String>,
    #[command(flatten)]
    selector: Selector,
}

pub(super) async fn export(
    client: &Client,
    output: Output,
    args: ExportArgs,
) -> Result<(), Failure> {
    let mut lines = Lines::new();
    let mut jobs = if args.scheduled_job_ids.is_empty() {
        client.list_jobs().stream().boxed()
    } else {
        let ids = futures::stream::iter(args.scheduled_job_ids);
        ids.then(|id| client.get_job(id)).boxed()
    };
    let mut is_first = true;
    while let Some(job) = jobs.try_next().await? {
        if !args.selector.selects(&job) {
            continue;
        }
        if is_first && matches!(output.format, Format::Table | Format::Yaml) {
            lines.write(HEADER)?;
        }
        is_first = false;
        if !job.problem.is_empty() {
            let problem = format!("is invalid: {}; another server will reject it", job.problem);
            warn(Some(&job.scheduled_job_id), &[problem]);
        }
        lines.write(&document(output.format, &job)?)?;
    }
    lines.finish()?;
    Ok(())
}

fn document(format: Format, job: &ScheduledJob) -> Result<String, Failure> {
    match format {
        Format::Table | Format::Yaml => write(job),
        Format::Json => {
            text::line(&Settings::new(job)?).map_err(|error| Failure::Json(error.to_string()))
        }
        Format::Quiet => Ok(job.scheduled_job_id.clone()),
    }
}
