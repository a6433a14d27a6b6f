//! `windrow preview`: the next ticks of a job or of a cron expression.

use clap::{ArgGroup, Args};
use prost_types::Timestamp;
use windrow_client::Client;

use crate::failure::Failure;
use crate::flags::time;
use crate::output::{Output, warn};
use crate::render;

#[derive(Debug, Args)]
#[command(group(
    ArgGroup::new("schedule").args(["scheduled_job_id", "cron_expression"]).required(true)
))]
#[command(after_long_help = "Examples:
  windrow preview --job daily-sold
  windrow preview --cron '30 2 * * *' --timezone America/New_York --after 2027-03-13T00:00:00Z")]
pub(crate) struct PreviewArgs {
    /// Ticks of this scheduled job.
    #[arg(long = "job", value_name = "JOB")]
    scheduled_job_id: Option<String>,
    /// Ticks of this cron expression.
    #[arg(long = "cron", value_name = "EXPRESSION")]
    cron_expression: Option<String>,
    /// IANA time zone of the cron expression [default: UTC].
    #[arg(long, value_name = "ZONE", requires = "cron_expression")]
    timezone: Option<String>,
    /// Ticks after this time, for example 2026-12-01T06:00:00Z [default: now].
    #[arg(long, value_name = "TIME", value_parser = time)]
    after: Option<Timestamp>,
    /// Number of ticks, up to 1000.
    #[arg(long, value_name = "N", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    count: u32,
}

pub(crate) async fn run(client: &Client, output: Output, args: PreviewArgs) -> Result<u8, Failure> {
    let mut call = match args.scheduled_job_id {
        Some(id) => client.preview_ticks(id),
        None => client.preview_cron(args.cron_expression.unwrap_or_default()),
    };
    if let Some(zone) = args.timezone {
        call = call.timezone(zone);
    }
    if let Some(after) = args.after {
        call = call.after(after);
    }
    let response = call.count(args.count).await?;
    let times = response.ticks.iter().filter_map(|tick| tick.tick_at);
    let times: Vec<_> = times.map(|at| at.to_string()).collect();
    let ids: Vec<_> = times.iter().map(String::as_str).collect();
    output.show(&response, &ids, |layout| render::ticks(layout, &response))?;
    warn(None, &response.warnings);
    Ok(0)
}
