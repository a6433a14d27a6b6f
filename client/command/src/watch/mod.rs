//! `windrow watch`, and `--watch` elsewhere: follows one run and turns its end into an exit code, or follows
//! all runs until Ctrl-C.
//!
//! On a terminal a bar or a table that is redrawn in its place, and removed at the end; elsewhere a line or an
//! object for each event. Lost connections are taken up again without a gap.

mod all;
mod one;

mod area;
mod bar;
mod board;

use std::future::Future;

use clap::Args;
use windrow_client::{Client, Code, Error, proto};

use crate::failure::Failure;
use crate::output::Output;
use crate::text;
pub(crate) use one::one;

const INTERRUPTED: u8 = 130;

pub(crate) const WATCH: &str = "Exit codes: 0 completed, 1 error, 3 completed with failed \
locations, 4 failed, 5 cancelled, 130 Ctrl-C (the run goes on).

Examples:
  windrow watch triggered_daily_1736841234_0123456789ab
  windrow watch --all --filter 'labels.team = sales'
  windrow watch --all --json | jq '.scraping_job.job_id // empty'";

#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// The run.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    job_id: Option<String>,
    /// Begin with what came after this revision, 0 for the whole story [default: the state now]
    #[arg(long, conflicts_with = "all")]
    after_revision: Option<i64>,
    /// All runs: those that are active now, then every change.
    #[arg(long)]
    all: bool,
    /// Only runs of this scheduled job.
    #[arg(long = "job", requires = "all", default_value = "", hide_default_value = true)]
    scheduled_job_id: String,
    /// Only those that match, for example 'labels.team = sales AND status = failed'.
    #[arg(long, requires = "all", default_value = "", hide_default_value = true)]
    filter: String,
    /// Go on where an earlier watch of the same runs was, by the last `resume_token` of its objects.
    #[arg(long, requires = "all", default_value = "", hide_default_value = true)]
    resume_token: String,
}

pub(crate) async fn run(client: &Client, output: Output, args: WatchArgs) -> Result<u8, Failure> {
    match &args.job_id {
        Some(job_id) => match one(client, output, job_id, args.after_revision).await {
            Err(Failure::Client(error)) if error.code() == Code::NotFound => {
                Err(not_found(client, job_id, error).await)
            }
            done => done,
        },
        None => all::all(client, output, args).await,
    }
}

/// Says what to do where it is the id of a scheduled job.
async fn not_found(client: &Client, job_id: &str, error: Error) -> Failure {
    let request = proto::GetScheduledJobRequest {
        scheduled_job_id: job_id.to_owned(),
        include_runs: Some(false),
        ..Default::default()
    };
    match client.raw().get_scheduled_job(request).await {
        Ok(_) => Failure::Refused(format!(
            "{error}\n{job_id} is a scheduled job; watch its runs with: \
             windrow watch --all --job {job_id}"
        )),
        Err(_) => error.into(),
    }
}

/// What is said of a lost connection.
fn trying_again(error: &Error) -> String {
    format!("Trying again: {}", text::clean(&error.to_string()))
}

/// The outcome, or nothing once Ctrl-C is pressed.
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
