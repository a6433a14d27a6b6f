//! What may be written after `windrow trigger` and `windrow runs`.

use clap::{Args, Subcommand};
use prost_types::Timestamp;
use windrow_client::proto::{ScrapingJobLogLevel, ScrapingJobPriority, ScrapingJobStatus};

use super::OnceArgs;
use crate::page::PageArgs;
use crate::parameters::ParameterArgs;
use crate::policy::PolicyArgs;
use crate::values::{label, log_level, priority, scraping_job_status, time};

#[derive(Debug, Args)]
pub(crate) struct TriggerArgs {
    /// A scheduled job's id, or any run's.
    pub(crate) job_id: String,
    /// Follow the run until it ends.
    #[arg(long, conflicts_with = "validate_only")]
    pub(crate) watch: bool,
    /// Priority; immediate unless given.
    #[arg(long, value_parser = priority())]
    pub(crate) priority: Option<ScrapingJobPriority>,
    /// A label, for example team=sales; may be repeated.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    pub(crate) labels: Vec<(String, String)>,
    #[command(flatten)]
    pub(crate) overrides: ParameterArgs,
    #[command(flatten)]
    pub(crate) once: OnceArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RunsCommand {
    /// Show a run.
    Get {
        /// The run.
        job_id: String,
    },
    /// List runs, newest first.
    List(RunsListArgs),
    /// Cancel a pending run, or ask the worker of a running one to stop; or all runs that match.
    #[command(after_help = "Example: windrow runs cancel --filter 'labels.team = sales' --dry-run")]
    Cancel(CancelArgs),
    /// Make a run for the locations that an ended run has not done.
    Retry(RetryArgs),
    /// Show what the workers and sources of a run said.
    #[command(after_help = "Example: windrow runs logs triggered_daily_1736841234_0123456789ab -f")]
    Logs(LogsArgs),
    /// Make a one-off run without a scheduled job.
    #[command(after_help = "Example: windrow runs submit --location 46220 --source sample --watch")]
    Submit(SubmitArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RunsListArgs {
    /// Only runs of this scheduled job.
    #[arg(long = "job", default_value = "", hide_default_value = true)]
    pub(crate) scheduled_job_id: String,
    /// Only runs in this state.
    #[arg(long, value_parser = scraping_job_status())]
    pub(crate) status: Option<ScrapingJobStatus>,
    /// Only those that match, for example 'labels.team = sales AND status != failed'.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) filter: String,
    #[command(flatten)]
    pub(crate) page: PageArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CancelArgs {
    /// The run.
    #[arg(required_unless_present_any = ["scheduled_job_id", "filter"])]
    pub(crate) job_id: Option<String>,
    /// All runs of this scheduled job instead.
    #[arg(long = "job", conflicts_with = "job_id")]
    pub(crate) scheduled_job_id: Option<String>,
    /// All runs that match instead, as in `runs list`.
    #[arg(long, conflicts_with = "job_id")]
    pub(crate) filter: Option<String>,
    /// Only count them.
    #[arg(long, conflicts_with = "job_id")]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RetryArgs {
    /// The ended run.
    pub(crate) job_id: String,
    /// Priority; immediate unless given.
    #[arg(long, value_parser = priority())]
    pub(crate) priority: Option<ScrapingJobPriority>,
    /// Follow the run until it ends.
    #[arg(long, conflicts_with = "validate_only")]
    pub(crate) watch: bool,
    #[command(flatten)]
    pub(crate) once: OnceArgs,
}

#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// The run.
    pub(crate) job_id: String,
    /// Go on until the run ends.
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Only of this attempt.
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    pub(crate) attempt: i32,
    /// Only about this location.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) location: String,
    /// Only lines at least as serious.
    #[arg(long = "level", value_parser = log_level())]
    pub(crate) min_level: Option<ScrapingJobLogLevel>,
}

#[derive(Debug, Args)]
pub(crate) struct SubmitArgs {
    #[command(flatten)]
    pub(crate) parameters: ParameterArgs,
    #[command(flatten)]
    pub(crate) policy: Box<PolicyArgs>,
    /// Not before this time, for example 2026-12-01T06:00:00Z.
    #[arg(long = "at", value_parser = time)]
    pub(crate) available_at: Option<Timestamp>,
    /// Priority; normal unless given.
    #[arg(long, value_parser = priority())]
    pub(crate) priority: Option<ScrapingJobPriority>,
    /// A label, for example team=sales; may be repeated.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    pub(crate) labels: Vec<(String, String)>,
    /// Follow the run until it ends.
    #[arg(long, conflicts_with = "validate_only")]
    pub(crate) watch: bool,
    #[command(flatten)]
    pub(crate) once: OnceArgs,
}
