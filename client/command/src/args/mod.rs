//! What may be written on the command line. Values are parsed here, once.

mod jobs;
mod runs;
mod ticks;

use std::path::PathBuf;

use crate::apply::{APPLY, ApplyArgs};
use crate::connection::ConnectionArgs;
use crate::context::ContextCommand;
use crate::output::Output;
use crate::page::PageArgs;
use crate::properties::PropertiesCommand;
use crate::values::{duration, time};
use crate::watch::{WATCH, WatchArgs};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use prost_types::Timestamp;

pub(crate) use self::jobs::{CreateArgs, JobsCommand, JobsListArgs, UpdateArgs};
pub(crate) use self::runs::{
    CancelArgs, LogsArgs, RetryArgs, RunsCommand, RunsListArgs, SubmitArgs, TriggerArgs,
};
pub(crate) use self::ticks::{BackfillArgs, PreviewArgs};

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
