//! `windrow runs logs`: the log of a run, once or until the run ends.

use std::time::Duration;

use clap::Args;
use futures::TryStreamExt;
use tokio::time::Instant;
use windrow_client::proto::{ScrapingJobLog, ScrapingJobLogLevel};
use windrow_client::{Client, Code};

use crate::failure::Failure;
use crate::flags::log_level;
use crate::json;
use crate::output::{self, Format, Output};
use crate::render;

/// Pause between two requests while following.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Follows for this long while no server answers, like a watch.
const RECONNECT_TIMEOUT: Duration = Duration::from_mins(1);

#[derive(Debug, Args)]
#[command(after_long_help = "Logs are deleted 30 days after the run has ended.

Example: windrow runs logs triggered_daily-sold_1736841234_0123456789ab -f --level warning")]
pub(crate) struct LogsArgs {
    /// ID of the run.
    #[arg(value_name = "RUN")]
    job_id: String,
    /// Continue until the run ends.
    #[arg(short, long)]
    follow: bool,
    /// Only lines of this attempt.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    attempt: i32,
    /// Only lines about this location.
    #[arg(long, default_value = "", hide_default_value = true)]
    location: String,
    /// Only lines with at least this severity.
    #[arg(long = "level", value_name = "LEVEL", value_parser = log_level())]
    min_level: Option<ScrapingJobLogLevel>,
}

pub(super) async fn show(client: &Client, output: Output, args: LogsArgs) -> Result<(), Failure> {
    let (mut last_number, mut answered_at) = (0, Instant::now());
    loop {
        match show_new(client, output, &args, &mut last_number).await {
            Ok(true) => return Ok(()),
            Ok(false) => answered_at = Instant::now(),
            // A server that restarts is back within the timeout.
            Err(Failure::Client(error))
                if args.follow
                    && error.code() == Code::Unavailable
                    && answered_at.elapsed() < RECONNECT_TIMEOUT => {}
            Err(error) => return Err(error),
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Prints the lines after `last_number`. Returns true after the last line of the run.
async fn show_new(
    client: &Client,
    output: Output,
    args: &LogsArgs,
    last_number: &mut i64,
) -> Result<bool, Failure> {
    // Check before listing, or lines written in between would be lost.
    let is_last = !args.follow || client.get_run(&args.job_id).await?.completed_at.is_some();
    let list = client.list_logs(&args.job_id).attempt(args.attempt).location(&args.location);
    let list = args.min_level.into_iter().fold(list, windrow_client::ListLogs::min_level);
    let mut lines = list.after(*last_number).stream();
    while let Some(line) = lines.try_next().await? {
        show_line(output, &line)?;
        *last_number = line.number;
    }
    Ok(is_last)
}

fn show_line(output: Output, line: &ScrapingJobLog) -> Result<(), Failure> {
    match output.format {
        Format::Table => output::line(&render::log(&output.layout, line))?,
        Format::Json => output::line(&json::to_json(line)?)?,
        Format::Yaml => output::line(&output::yaml(&json::Shown::new(line)?)?)?,
        Format::Quiet => {}
    }
    Ok(())
}
