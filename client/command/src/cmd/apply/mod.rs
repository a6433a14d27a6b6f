//! `windrow apply`: reconciles scheduled jobs with files.
//!
//! Everything is checked, also by the server, before anything is changed. A file is the complete description of
//! the settings of a job; its status and history are not touched.

mod diff;
mod files;
mod plan;

use clap::Args;
use serde_json::json;
use windrow_client::Client;

use self::plan::{Change, Step};
use super::confirm;
use crate::failure::Failure;
use crate::output::{Format, Output, hint, line, yaml};

const HELP: &str = "A file has one or more YAML documents, or a JSON object, with these fields:
  scheduled_job_id, name, cron_expression, timezone, priority, labels, parameters, policy,
  max_concurrent_runs, catch_up, overlap, jitter
A field that is left out has its default. A job that does not exist is created, and a deleted job is
restored. Pauses and history stay.

Examples:
  windrow apply -f jobs.yaml --dry-run
  windrow apply -f jobs/ --prune --yes
  windrow jobs get daily-sold -o yaml      (shows the fields of an existing job)";

const NOT_A_TERMINAL: &str = "not a terminal: pass --yes to apply without confirmation";

#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub(crate) struct ApplyArgs {
    /// File, directory of .yaml, .yml and .json files, or - for stdin; repeatable (required).
    #[arg(short = 'f', long = "file", required = true, value_name = "FILE")]
    files: Vec<String>,
    /// Show the changes, but make none.
    #[arg(long)]
    dry_run: bool,
    /// Delete scheduled jobs that are not in the files.
    #[arg(long)]
    prune: bool,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

pub(crate) async fn run(client: &Client, output: Output, args: ApplyArgs) -> Result<u8, Failure> {
    let desired = files::read(&args.files).map_err(Failure::Refused)?;
    let (changes, unchanged) = plan::plan(client, &desired, args.prune).await?;
    if output.is_table() {
        changes.iter().try_for_each(|change| line(&change.text))?;
    }
    if changes.is_empty() || args.dry_run {
        let title = if args.dry_run { "Dry run" } else { "Nothing to do" };
        report(output, title, &changes, unchanged)?;
        return Ok(0);
    }
    if !args.yes && !confirm(&format!("Make {} changes?", changes.len()), NOT_A_TERMINAL)? {
        hint("Nothing was changed.");
        return Ok(1);
    }
    for (done, change) in changes.iter().enumerate() {
        if let Err(error) = change.step.execute(client).await {
            hint(&format!("Made {done} of {} changes before the error", changes.len()));
            return Err(error.into());
        }
    }
    report(output, "Done", &changes, unchanged)?;
    Ok(0)
}

fn report(
    output: Output,
    title: &str,
    changes: &[Change],
    unchanged: usize,
) -> Result<(), Failure> {
    let count = |of: fn(&Step) -> bool| changes.iter().filter(|change| of(&change.step)).count();
    let created = count(|step| matches!(step, Step::Create(_)));
    let restored = count(|step| matches!(step, Step::Undelete(_)));
    let updated = count(|step| matches!(step, Step::Update(_)));
    let deleted = count(|step| matches!(step, Step::Delete { .. }));
    let object = json!({
        "created": created, "restored": restored, "updated": updated, "deleted": deleted,
        "unchanged": unchanged,
    });
    match output.format {
        Format::Json => line(&object.to_string())?,
        Format::Yaml => line(&yaml(&object)?)?,
        Format::Quiet => changes.iter().try_for_each(|change| line(change.step.job_id()))?,
        Format::Table => line(&format!(
            "{title}: {created} created, {restored} restored, {updated} updated, {deleted} deleted, \
             {unchanged} unchanged"
        ))?,
    }
    Ok(())
}
