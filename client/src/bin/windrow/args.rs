//! What may be written on the command line. Values are parsed here, once.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use prost_types::Timestamp;
use windrow_client::proto::{
    ScheduledJobStatus, ScrapingJobLogLevel, ScrapingJobPriority, ScrapingJobStatus,
};

use crate::apply::{APPLY, ApplyArgs};
use crate::connection::ConnectionArgs;
use crate::context::ContextCommand;
use crate::output::Output;
use crate::page::PageArgs;
use crate::parameters::{JobArgs, ParameterArgs};
use crate::policy::PolicyArgs;
use crate::properties::PropertiesCommand;
use crate::values::{
    duration, label, log_level, priority, scheduled_job_status, scraping_job_status, time,
};
use crate::watch::{WATCH, WatchArgs};

const EXIT_CODES: &str = "Exit codes: 0 completed, 1 error, 2 usage, 3 completed with failed \
locations, 4 failed, 5 cancelled, 130 Ctrl-C while watching (the run goes on).

Examples:
  windrow jobs create --name 'Daily Sold' --cron '0 6 * * *' --location 'Indianapolis, IN'
  windrow jobs list
  windrow trigger daily-sold --watch
  windrow runs list --job daily-sold --output json
  windrow apply -f jobs.yaml";

/// Schedules scraping jobs, runs them now, and follows their runs.
#[derive(Debug, Parser)]
#[command(name = "windrow", version, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    /// How to print answers; json and yaml have an object for each, or for each state while watching.
    #[arg(short, long, global = true, env = "WINDROW_OUTPUT", value_enum, default_value_t)]
    output: Output,
    /// The same as --output json, over which it wins.
    #[arg(long, global = true)]
    json: bool,
    /// When to use colours; NO_COLOR is heard too.
    #[arg(long, global = true, value_enum, default_value_t)]
    pub(crate) color: Color,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// How to print answers.
    pub(crate) fn output(&self) -> Output {
        if self.json { Output::Json } else { self.output }
    }
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal.
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Scheduled jobs: what to scrape and when.
    #[command(subcommand)]
    Jobs(JobsCommand),
    /// Make a run now, from a scheduled job or from an earlier run.
    #[command(after_help = "Example: windrow trigger daily-sold --location 46220 --watch")]
    Trigger(TriggerArgs),
    /// Runs: look at them, cancel them, submit a one-off.
    #[command(subcommand)]
    Runs(RunsCommand),
    /// Properties: what the runs found, and how it changed.
    #[command(subcommand)]
    Properties(PropertiesCommand),
    /// What became of the ticks of a scheduled job, newest first.
    Ticks {
        /// The scheduled job.
        scheduled_job_id: String,
        #[command(flatten)]
        page: PageArgs,
    },
    /// Why a scheduled job did or did not run at a time, or what would become of a time to come.
    #[command(after_help = "Example: windrow explain sold_indy 2026-12-01T02:00:00Z")]
    Explain {
        /// The scheduled job.
        scheduled_job_id: String,
        /// The time, for example 2026-12-01T06:00:00Z.
        #[arg(value_parser = time)]
        tick_at: Timestamp,
    },
    /// Make runs for past ticks that have none.
    #[command(
        after_help = "Ticks that have a run keep it, so repeating a backfill makes nothing twice.

Example: windrow backfill sold_indy --from 2026-11-01T00:00:00Z --to 2026-11-08T00:00:00Z --dry-run"
    )]
    Backfill(BackfillArgs),
    /// When a schedule is due, with what changes of the clocks do to it.
    #[command(
        after_help = "Example: windrow preview --cron '30 2 * * *' --timezone America/New_York"
    )]
    Preview(PreviewArgs),
    /// How the runs of a scheduled job went that ended in a window up to now.
    Stats {
        /// The scheduled job.
        scheduled_job_id: String,
        /// How far to look back, for example 7d or 12h [default: 30d]
        #[arg(long, value_parser = duration)]
        window: Option<prost_types::Duration>,
    },
    /// Make scheduled jobs be what files say: shows what differs, asks, creates and updates.
    #[command(after_help = APPLY)]
    Apply(ApplyArgs),
    /// Servers by name.
    #[command(subcommand)]
    Context(ContextCommand),
    /// Print completions for a shell, for example: windrow completions bash > /etc/bash_completion.d/windrow
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Print the man page, or write those of all commands into a directory.
    Man {
        /// Where to write them.
        directory: Option<PathBuf>,
    },
    /// Follow a run until it ends, or all runs; the exit code says how a run ended.
    #[command(after_help = WATCH)]
    Watch(WatchArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum JobsCommand {
    /// Create an active scheduled job.
    #[command(after_help = "Example: windrow jobs create daily-sold --name 'Daily Sold' \
        --cron '0 6 * * *' --timezone America/Indiana/Indianapolis --location 46220 \
        --listing-type sold --past-days 2")]
    Create(CreateArgs),
    /// Show a scheduled job and its newest runs.
    Get {
        /// The scheduled job.
        scheduled_job_id: String,
        /// At most so many runs.
        #[arg(long, default_value_t = 0, hide_default_value = true)]
        limit: i32,
    },
    /// List scheduled jobs by id.
    List(JobsListArgs),
    /// Change what is given and keep everything else. A given list replaces the old one.
    #[command(after_help = "Example: windrow jobs update daily-sold --cron '30 5 * * *'")]
    Update(UpdateArgs),
    /// Hold a scheduled job; its ticks make no runs until it is resumed.
    Pause {
        /// The scheduled job.
        scheduled_job_id: String,
        /// Why.
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
        /// End of the pause, for example 2026-12-01T06:00:00Z.
        #[arg(long, value_parser = time)]
        until: Option<Timestamp>,
    },
    /// Make a paused or inactive scheduled job active.
    Resume {
        /// The scheduled job.
        scheduled_job_id: String,
        /// Decide the ticks of the pause by the job's catch-up policy; else they make no runs.
        #[arg(long)]
        catch_up: bool,
    },
    /// Switch a scheduled job off until it is resumed.
    Deactivate {
        /// The scheduled job.
        scheduled_job_id: String,
    },
    /// Delete a scheduled job; its pending runs are cancelled.
    Delete {
        /// The scheduled job.
        scheduled_job_id: String,
        /// Refuse unless this is the current etag.
        #[arg(long, default_value = "", hide_default_value = true)]
        etag: String,
    },
    /// Restore a deleted scheduled job.
    Undelete {
        /// The scheduled job.
        scheduled_job_id: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct BackfillArgs {
    /// The scheduled job.
    pub(crate) scheduled_job_id: String,
    /// Begin of the range, for example 2026-11-01T00:00:00Z.
    #[arg(long, value_parser = time)]
    pub(crate) from: Timestamp,
    /// End of the range, included; not in the future. It may hold 1000 ticks.
    #[arg(long, value_parser = time)]
    pub(crate) to: Timestamp,
    /// Priority of the runs; low unless given.
    #[arg(long, value_parser = priority())]
    pub(crate) priority: Option<ScrapingJobPriority>,
    /// Only say what would be done.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PreviewArgs {
    /// Ticks of this scheduled job.
    #[arg(required_unless_present = "cron_expression", conflicts_with_all = ["cron_expression", "timezone"])]
    pub(crate) scheduled_job_id: Option<String>,
    /// Ticks of this expression.
    #[arg(long = "cron")]
    pub(crate) cron_expression: Option<String>,
    /// IANA time zone of the expression; UTC unless given.
    #[arg(long, requires = "cron_expression")]
    pub(crate) timezone: Option<String>,
    /// Ticks after this time, for example 2026-12-01T06:00:00Z [default: now]
    #[arg(long, value_parser = time)]
    pub(crate) after: Option<Timestamp>,
    /// How many.
    #[arg(long, default_value_t = 10)]
    pub(crate) count: i32,
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// Id; generated from the name unless given.
    pub(crate) scheduled_job_id: Option<String>,
    #[command(flatten)]
    pub(crate) job: JobArgs,
    #[command(flatten)]
    pub(crate) once: OnceArgs,
}

#[derive(Debug, Args)]
pub(crate) struct UpdateArgs {
    /// The scheduled job.
    pub(crate) scheduled_job_id: String,
    #[command(flatten)]
    pub(crate) job: JobArgs,
    /// Refuse unless this is the current etag.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) etag: String,
    /// Check only, change nothing.
    #[arg(long)]
    pub(crate) validate_only: bool,
}

#[derive(Debug, Args)]
pub(crate) struct JobsListArgs {
    /// Only jobs with this status.
    #[arg(long, value_parser = scheduled_job_status())]
    pub(crate) status: Option<ScheduledJobStatus>,
    /// Deleted jobs too.
    #[arg(long)]
    pub(crate) show_deleted: bool,
    /// Only those that match, for example 'labels.team = sales AND status != paused'.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) filter: String,
    #[command(flatten)]
    pub(crate) page: PageArgs,
}

/// How a creating call is kept from doing harm.
#[derive(Debug, Args)]
pub(crate) struct OnceArgs {
    /// Calls with the same id and arguments create one thing only.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) request_id: String,
    /// Check only, change nothing.
    #[arg(long)]
    pub(crate) validate_only: bool,
}

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
