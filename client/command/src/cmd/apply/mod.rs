//! `windrow apply`: reconciles scheduled jobs with files.
//!
//! Everything is checked, also by the server, before anything is changed. A file is the complete description of
//! the settings of a job; its status and history are not touched.

mod diff;
mod files;
mod plan;
mod report;

use std::pin::pin;

use clap::Args;
use tokio::signal;
use windrow_client::{Client, Code};

use self::plan::{Change, Plan};
use self::report::{Occasion, report};
use super::confirm;
use crate::failure::Failure;
use crate::flags::Selector;
use crate::output::{Output, hint, line};

const HELP: &str = "A file has one or more YAML documents, or JSON, with the settings of a scheduled job:
  scheduled_job_id: daily-sold
  name: Daily Sold
  cron_expression: \"0 6 * * *\"
  labels: {team: sales}
  parameters:
    locations: [46220, \"Indianapolis, IN\"]
A field that is left out has its default. Values are written as for flags, for example jitter: 5m.
A job that does not exist is created, and a deleted job is restored. Pauses and history stay.

--prune deletes the jobs that have the labels of --selector and are not in the files. All jobs in the
files must have these labels.

With --detailed-exit-code, the exit code is 0 if there was nothing to do, 2 if there are changes (made,
or found by --dry-run), and 1 for every error.

Examples:
  windrow apply -f jobs.yaml --dry-run
  windrow apply -f jobs/ --dry-run --json --detailed-exit-code
  windrow apply -f sales/ --prune --selector team=sales
  windrow jobs export > jobs.yaml          (writes the existing jobs for apply)";

const NOT_A_TERMINAL: &str = "not a terminal: pass --yes to apply without confirmation";
const NOT_SELECTED: &str = "--prune needs --selector, so that it deletes no jobs of others: for example \
     --prune --selector team=sales deletes the jobs with this label that are not in the files";
const NO_PRUNE: &str = "--selector is the limit of --prune and has no effect without it";
const CHANGED: u8 = 2;
const INTERRUPTED: u8 = 130;

#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub(crate) struct ApplyArgs {
    /// File, directory of .yaml, .yml and .json files, or - for stdin; repeatable (required).
    #[arg(short = 'f', long = "file", required = true, value_name = "FILE")]
    files: Vec<String>,
    /// Show the changes, but make none.
    #[arg(long)]
    dry_run: bool,
    /// Delete the selected scheduled jobs that are not in the files; needs --selector.
    #[arg(long)]
    prune: bool,
    #[command(flatten)]
    selector: Selector,
    /// Exit with 2 if there are changes, 0 if there are none, and 1 on every error.
    #[arg(long)]
    detailed_exit_code: bool,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

impl ApplyArgs {
    /// Rejects wrong usage before connecting.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        match (self.prune, self.selector.is_empty()) {
            (true, true) => Err(Failure::Usage(NOT_SELECTED)),
            (false, false) => Err(Failure::Usage(NO_PRUNE)),
            _ => Ok(()),
        }
    }
}

pub(crate) async fn run(client: &Client, output: Output, args: ApplyArgs) -> Result<u8, Failure> {
    let desired = files::read(&args.files)?;
    let plan = plan::plan(client, desired, args.prune.then_some(&args.selector)).await?;
    if output.is_table() {
        plan.changes.iter().try_for_each(|change| line(&report::text(change)))?;
    }
    let changed = if args.detailed_exit_code && !plan.changes.is_empty() { CHANGED } else { 0 };
    if args.dry_run {
        report(output, Occasion::DryRun, &plan)?;
        return Ok(changed);
    }
    if plan.changes.is_empty() {
        report(output, Occasion::NothingToDo, &plan)?;
        return Ok(0);
    }
    let question = format!("Make {}?", report::summary(&plan));
    if !args.yes && !confirm(&question, NOT_A_TERMINAL)? {
        hint("Nothing was changed.");
        return Ok(1);
    }
    if execute(client, &plan).await? == Outcome::Interrupted {
        return Ok(INTERRUPTED);
    }
    report(output, Occasion::Done, &plan)?;
    Ok(changed)
}

#[derive(Debug, PartialEq)]
enum Outcome {
    Done,
    Interrupted,
}

/// Makes the changes. If it cannot make all of them, tells which were made.
async fn execute(client: &Client, plan: &Plan) -> Result<Outcome, Failure> {
    let mut interrupt = pin!(signal::ctrl_c());
    for (done, change) in plan.changes.iter().enumerate() {
        let made = tokio::select! {
            biased;
            pressed = &mut interrupt => {
                pressed?;
                explain_rest(plan, done, "Interrupted, may be made");
                return Ok(Outcome::Interrupted);
            }
            made = change.step.execute(client) => made,
        };
        if let Err(error) = made {
            // Without an answer, the change may have been made.
            let is_open = matches!(error.code(), Code::Unavailable | Code::DeadlineExceeded);
            explain_rest(plan, done, if is_open { "No answer, may be made" } else { "Failed" });
            return Err(error.into());
        }
    }
    Ok(Outcome::Done)
}

/// Tells what was made before the change that was not, and what remains.
fn explain_rest(plan: &Plan, done: usize, why: &str) {
    let names = |changes: &[Change]| {
        let names = changes.iter().map(|it| format!("{} {}", it.step.verb(), it.step.job_id()));
        let names: Vec<_> = names.collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    };
    let (made, rest) = plan.changes.split_at(done.min(plan.changes.len()));
    let (this, rest) = rest.split_at(1.min(rest.len()));
    hint(&format!("Made: {}\n{why}: {}\nNot made: {}", names(made), names(this), names(rest)));
    hint("The same apply makes what is missing.");
}
