//! `windrow watch`, and `--watch` of other commands: follows one run and returns its end as an exit code, or
//! follows all runs until Ctrl-C.
//!
//! A terminal shows a bar or a table that is redrawn in place and removed at the end. Without a terminal,
//! every event is a line or an object. Lost connections are resumed without a gap.

mod all;
mod one;

mod area;
mod bar;
mod board;
mod object;

use std::future::Future;

use clap::Args;
use windrow_client::{Client, Code, Error};

use crate::failure::{Failure, root_cause};
use crate::output::Output;
use crate::render::clean;
pub(crate) use one::{Start, one};

const INTERRUPTED: u8 = 130;

const HELP: &str = "JSON: a watch of one run and a watch of all runs print the same objects,
  {\"kind\": KIND, \"scraping_job\": RUN, \"resume_token\": TOKEN}
with one of these kinds:
  current   a run in its state when the watch started
  synced    all current states were printed; changes follow
  changed   a run in its state after a change
  left      a run that no longer matches --filter
  bookmark  no change; the resume token advanced
`scraping_job` is absent for synced and bookmark. To resume a watch of all runs, pass the last
`resume_token` to --resume-token; to resume a watch of one run, where the token is empty, pass the
last `scraping_job.revision` to --after-revision.

Exit codes: 0 completed, 1 error, 3 completed with failed locations, 4 failed, 5 cancelled,
130 Ctrl-C (the run continues).

Examples:
  windrow watch triggered_daily-sold_1736841234_0123456789ab
  windrow watch --all --filter 'labels.team = sales'
  windrow watch --all --json | jq -r 'select(.kind == \"changed\") | .scraping_job.job_id'";

#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
#[command(override_usage = "windrow watch [OPTIONS] <RUN>\n       windrow watch [OPTIONS] --all")]
pub(crate) struct WatchArgs {
    /// ID of the run; required without --all.
    #[arg(value_name = "RUN", required_unless_present = "all", conflicts_with = "all")]
    job_id: Option<String>,
    /// Start after this revision of the run; 0 replays its history [default: the current state].
    #[arg(long, value_name = "N", conflicts_with = "all")]
    after_revision: Option<i64>,
    /// Watch all runs: first the pending and running ones, then every change.
    #[arg(long)]
    all: bool,
    /// Only runs of this scheduled job.
    #[arg(long = "job", value_name = "JOB", requires = "all")]
    #[arg(default_value = "", hide_default_value = true)]
    scheduled_job_id: String,
    /// Only matching runs; see `windrow runs list --help`.
    #[arg(long, requires = "all", default_value = "", hide_default_value = true)]
    filter: String,
    /// Resume an earlier watch with the same job and filter; see JSON below.
    #[arg(long, value_name = "TOKEN", requires = "all")]
    #[arg(default_value = "", hide_default_value = true)]
    resume_token: String,
}

pub(crate) async fn run(client: &Client, output: Output, args: WatchArgs) -> Result<u8, Failure> {
    let Some(job_id) = &args.job_id else { return all::all(client, output, args).await };
    let start = args.after_revision.map_or(Start::Now, Start::After);
    match one(client, output, job_id, start).await {
        Err(Failure::Client(error)) if error.code() == Code::NotFound => {
            let explained = async { Err(not_found(client, job_id, error).await) };
            Ok(unless_interrupted(explained).await?.unwrap_or(INTERRUPTED))
        }
        done => done,
    }
}

/// Suggests a watch of all runs of the job if the id is that of a scheduled job.
async fn not_found(client: &Client, job_id: &str, error: Error) -> Failure {
    match client.get_job(job_id).await {
        Ok(_) => Failure::Refused(format!(
            "{error}\n{job_id} is a scheduled job; watch its runs with: \
             windrow watch --all --job {job_id}"
        )),
        Err(_) => error.into(),
    }
}

fn connection_lost(error: &Error) -> String {
    format!("Connection lost; reconnecting: {}", clean(&with_cause(error)))
}

/// The error and, if it hides one, its cause.
fn with_cause(error: &Error) -> String {
    let text = error.to_string();
    match root_cause(error) {
        Some(cause) if !text.contains(&cause) => format!("{text} ({cause})"),
        _ => text,
    }
}

/// The result of the work, or `None` after Ctrl-C.
async fn unless_interrupted<T>(
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<Option<T>, Failure> {
    tokio::select! {
        done = work => done.map(Some),
        pressed = tokio::signal::ctrl_c() => {
            pressed?;
            Ok(None)
        }
    }
}
