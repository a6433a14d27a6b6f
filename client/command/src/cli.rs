//! The command line: global options and the list of commands.

use std::env;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use windrow_client::Client;

use crate::cmd::{apply, backfill, context, jobs, preview, properties, runs, shell, ticks, watch};
use crate::connection::{self, ConnectionFlags};
use crate::failure::Failure;
use crate::output::{Format, Output, hint};
use crate::render::{Layout, Zone};

const EXAMPLES: &str = "Examples:
  windrow jobs create --name 'Daily Sold' --cron '0 6 * * *' --location 'Indianapolis, IN'
  windrow jobs list
  windrow trigger daily-sold --watch
  windrow runs list --job daily-sold --failed-locations
  windrow runs list --json | jq -r '.scraping_jobs[] | select(.status == \"failed\") | .job_id'
  windrow apply -f jobs.yaml

JSON: each response is one object with the field names of the contract. Enum values are the words
that flags and filters use, for example \"status\": \"completed\". Times are in UTC.
Hints and errors are objects on stderr: {\"hint\": TEXT}, {\"error\": {\"message\": TEXT, ...}}.

Exit codes: 0 completed, 1 error, 2 usage or an invalid value, 3 completed with failed locations,
4 failed, 5 cancelled, 130 Ctrl-C while watching (the run continues).";

/// Schedule scraping jobs, run them now, and follow their runs.
#[derive(Debug, Parser)]
#[command(name = "windrow", version, after_long_help = EXAMPLES)]
#[command(after_help = "Examples and exit codes: windrow --help")]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    output: OutputFlags,
    #[command(flatten)]
    connection: ConnectionFlags,
}

#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
struct OutputFlags {
    /// Output format.
    #[arg(short = 'o', long = "output", global = true, env = "WINDROW_OUTPUT", value_enum)]
    #[arg(value_name = "FORMAT", default_value_t, hide_env = true)]
    format: Format,
    /// Shorthand for --output json.
    #[arg(long, global = true)]
    json: bool,
    /// Print only ids, one per line.
    #[arg(short, long, global = true, conflicts_with = "json")]
    quiet: bool,
    /// Show all columns and full texts, even if they do not fit on the terminal.
    #[arg(long, global = true)]
    wide: bool,
    /// Show times in UTC instead of the local time zone.
    #[arg(long, global = true)]
    utc: bool,
    /// Show times in the local time zone (the default).
    #[arg(long, global = true, conflicts_with = "utc", hide_short_help = true)]
    local: bool,
    /// Use of colors; `auto` also honors NO_COLOR.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    #[arg(hide_short_help = true)]
    color: Color,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Color {
    /// On a terminal.
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Scheduled jobs: what to scrape and when.
    #[command(subcommand)]
    Jobs(jobs::JobsCommand),
    /// Run a scheduled job now, or repeat a run.
    #[command(mut_args(jobs::without_default))]
    #[command(mut_arg("priority", |flag| flag.help("Priority [default: immediate]")))]
    Trigger(runs::TriggerArgs),
    /// Runs: list, show, cancel, retry, or submit a one-off.
    #[command(subcommand)]
    Runs(runs::RunsCommand),
    /// Follow a run until it ends, or all runs.
    Watch(watch::WatchArgs),
    /// Properties that runs found, and their changes.
    #[command(subcommand)]
    Properties(properties::PropertiesCommand),
    /// List the decisions about the ticks of a scheduled job, newest first.
    Ticks(ticks::TicksArgs),
    /// Explain why a job did or did not run at a time, or what would happen at a future time.
    Explain(ticks::ExplainArgs),
    /// Show the next ticks of a scheduled job or of a cron expression.
    Preview(preview::PreviewArgs),
    /// Create runs for past ticks that have none.
    Backfill(backfill::BackfillArgs),
    /// Show statistics of the runs of a scheduled job.
    Stats(jobs::StatsArgs),
    /// Reconcile scheduled jobs with files.
    Apply(apply::ApplyArgs),
    /// Named servers.
    #[command(subcommand)]
    Context(context::ContextCommand),
    /// Print shell completions.
    Completions(shell::CompletionsArgs),
    /// Print the manual page, or write those of all commands to a directory.
    Man(shell::ManArgs),
}

impl Cli {
    /// Runs the command and returns its exit code.
    pub(crate) async fn run(self) -> Result<u8, Failure> {
        self.output.set_colors();
        let output = self.output.output();
        output.begin();
        match self.command {
            Command::Context(command) => context::run(command, output, &self.connection),
            Command::Completions(args) => shell::completions(&mut Self::command(), &args),
            Command::Man(args) => shell::man(Self::command(), &args),
            command => {
                command.check()?;
                let is_dry_run = env::args_os().any(|argument| argument == "--dry-run");
                let called = async {
                    let client = connection::connect(self.connection).await?;
                    command.call(&client, output).await
                };
                match Box::pin(called).await {
                    Err(failure) => Err(failure.explained().await),
                    Ok(code) => {
                        if is_dry_run && !output.is_table() {
                            // Ids and objects look like those of a real change.
                            hint("Dry run: nothing was changed.");
                        }
                        Ok(code)
                    }
                }
            }
        }
    }
}

/// Whether the command line asks for JSON, for errors about the command line itself.
pub(crate) fn asks_for_json() -> bool {
    let words: Vec<_> = env::args().collect();
    let is_format = |pair: &[String]| matches!(pair, [flag, format] if ["-o", "--output"].contains(&flag.as_str()) && format == "json");
    let one = ["--json", "-ojson", "-o=json", "--output=json"];
    words.iter().any(|word| one.contains(&word.as_str()))
        || words.windows(2).any(is_format)
        || env::var("WINDROW_OUTPUT").is_ok_and(|format| format == "json")
}

impl Command {
    /// Rejects wrong usage before connecting.
    fn check(&self) -> Result<(), Failure> {
        match self {
            Self::Jobs(command) => command.check(),
            Self::Trigger(args) => args.check(),
            Self::Runs(command) => command.check(),
            Self::Apply(args) => args.check(),
            _ => Ok(()),
        }
    }

    async fn call(self, client: &Client, output: Output) -> Result<u8, Failure> {
        match self {
            Self::Jobs(command) => jobs::run(client, output, command).await,
            Self::Trigger(args) => runs::trigger(client, output, args).await,
            Self::Runs(command) => runs::run(client, output, command).await,
            Self::Watch(args) => watch::run(client, output, args).await,
            Self::Properties(command) => properties::run(client, output, command).await,
            Self::Ticks(args) => ticks::list(client, output, args).await,
            Self::Explain(args) => ticks::explain(client, output, args).await,
            Self::Preview(args) => preview::run(client, output, args).await,
            Self::Backfill(args) => backfill::run(client, output, args).await,
            Self::Stats(args) => jobs::stats(client, output, args).await,
            Self::Apply(args) => apply::run(client, output, args).await,
            // Need no server and run before the connection.
            Self::Context(_) | Self::Completions(_) | Self::Man(_) => Ok(0),
        }
    }
}

impl OutputFlags {
    fn output(&self) -> Output {
        let format = if self.quiet {
            Format::Quiet
        } else if self.json {
            Format::Json
        } else {
            self.format
        };
        let zone = if self.utc && !self.local { Zone::Utc } else { Zone::Local };
        Output { format, layout: Layout::new(self.wide, zone) }
    }

    fn set_colors(&self) {
        match self.color {
            Color::Auto => {}
            Color::Always => console::set_colors_enabled(true),
            Color::Never => console::set_colors_enabled(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_error_about_missing_arguments_names_every_choice() {
        let check = |words: &[&str], choices: &[&str]| {
            let error = Cli::try_parse_from([&["windrow"], words].concat()).unwrap_err();
            let text = error.to_string();
            assert!(choices.iter().all(|choice| text.contains(choice)), "{text}");
        };
        check(&["preview"], &["--job", "--cron"]);
        check(&["runs", "cancel"], &["RUN", "--job", "--filter"]);
    }

    #[test]
    fn a_job_can_be_updated_without_a_name_but_not_created() {
        let parses = |words: &[&str]| Cli::try_parse_from([&["windrow"], words].concat()).is_ok();
        assert!(parses(&["jobs", "update", "x", "--cron", "@daily"]));
        assert!(!parses(&["jobs", "create", "x", "--cron", "@daily"]));
        let all = ["--name", "X", "--cron", "@daily", "--location", "a"];
        assert!(parses(&[&["jobs", "create", "x"], &all[..]].concat()));
    }
}
