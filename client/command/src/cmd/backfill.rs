//! `windrow backfill`: creates runs for past ticks, after it has shown them and asked.

use clap::Args;
use prost_types::Timestamp;
use windrow_client::proto::{BackfillOutcome, BackfillScheduledJobResponse, ScrapingJobPriority};
use windrow_client::{BackfillJob, Client};

use super::confirm;
use crate::failure::Failure;
use crate::flags::{priority, time};
use crate::output::{Output, hint, line, warn};
use crate::render;

const NOT_A_TERMINAL: &str = "not a terminal: pass --yes to create runs without confirmation";

#[derive(Debug, Args)]
#[command(
    after_long_help = "Shows the ticks of the range and asks before it creates runs. A tick that has a run
keeps it, so repeating a backfill creates nothing twice.

Example:
  windrow backfill daily-sold --from 2026-11-01T00:00:00Z --to 2026-11-08T00:00:00Z --dry-run"
)]
pub(crate) struct BackfillArgs {
    /// ID of the scheduled job.
    #[arg(value_name = "JOB")]
    scheduled_job_id: String,
    /// Start of the range, for example 2026-11-01T00:00:00Z (required).
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Timestamp,
    /// End of the range, inclusive and not in the future (required). At most 1000 ticks.
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Timestamp,
    /// Priority of the runs [default: low].
    #[arg(long, value_parser = priority())]
    priority: Option<ScrapingJobPriority>,
    /// Show the ticks, but create nothing.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

pub(crate) async fn run(
    client: &Client,
    output: Output,
    args: BackfillArgs,
) -> Result<u8, Failure> {
    let preview = call(client, &args).validate_only().await?;
    warn(None, &preview.warnings);
    let count = preview.created_count;
    if args.dry_run {
        let lead = format!("Dry run: would create {}", runs(count));
        return show(output, &preview, |layout| {
            format!("{}\n{lead}", render::backfill(layout, &preview))
        });
    }
    if count == 0 {
        let lead = format!("Nothing to do: all {} ticks have runs", preview.ticks.len());
        return show(output, &preview, |_| lead);
    }
    if !args.yes {
        if output.is_table() {
            line(&render::backfill(&output.layout, &preview))?;
        }
        if !confirm(&format!("Create {}?", runs(count)), NOT_A_TERMINAL)? {
            hint("Nothing was created.");
            return Ok(1);
        }
    }
    let response = call(client, &args).await?;
    let undo = undo(client, &args.scheduled_job_id, &response).await;
    let lead = format!("Created {}.{}", runs(response.created_count), undo.unwrap_or_default());
    show(output, &response, |_| lead)
}

/// The command that cancels these runs and those of no other backfill: they were all created at the same time.
/// `None` if that cannot be found out; the runs exist all the same.
async fn undo(
    client: &Client,
    job: &str,
    response: &BackfillScheduledJobResponse,
) -> Option<String> {
    let first = client.get_run(created(response).next()?).await.ok()?;
    let at = first.created_at?;
    let filter = format!("origin = backfill AND created_at >= \"{at}\" AND created_at <= \"{at}\"");
    let command =
        render::command_line(["windrow", "runs", "cancel", "--job", job, "--filter", &filter]);
    Some(format!(" Undo: {command}"))
}

fn runs(count: i32) -> String {
    render::counted(usize::try_from(count).unwrap_or_default(), "run", "runs")
}

fn call(client: &Client, args: &BackfillArgs) -> BackfillJob {
    let call = client.backfill_job(&args.scheduled_job_id, args.from..=args.to);
    args.priority.into_iter().fold(call, BackfillJob::priority)
}

fn show(
    output: Output,
    response: &BackfillScheduledJobResponse,
    text: impl FnOnce(&render::Layout) -> String,
) -> Result<u8, Failure> {
    let ids: Vec<_> = created(response).collect();
    output.show(response, &ids, text)?;
    Ok(0)
}

/// The ids of the created runs.
fn created(response: &BackfillScheduledJobResponse) -> impl Iterator<Item = &str> {
    let created = response.ticks.iter().filter(|it| it.outcome() == BackfillOutcome::Created);
    created.map(|tick| tick.job_id.as_str()).filter(|id| !id.is_empty())
}
