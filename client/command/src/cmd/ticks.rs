//! `windrow ticks` and `windrow explain`: decisions about ticks and the reasons for them.

use clap::Args;
use futures::TryStreamExt;
use prost_types::Timestamp;
use windrow_client::{Client, proto};

use crate::failure::Failure;
use crate::flags::{ListFlags, time};
use crate::output::Output;
use crate::render;

#[derive(Debug, Args)]
#[command(
    after_long_help = "A tick is a time at which the schedule is due. Each tick is decided once: it creates
a run (fired), or it does not, for a reason. Decisions are retained for 90 days.

Example: windrow ticks daily-sold --limit 10"
)]
pub(crate) struct TicksArgs {
    /// ID of the scheduled job.
    #[arg(value_name = "JOB")]
    scheduled_job_id: String,
    #[command(flatten)]
    list: ListFlags,
}

#[derive(Debug, Args)]
#[command(after_long_help = "Example: windrow explain daily-sold 2026-12-01T06:00:00Z")]
pub(crate) struct ExplainArgs {
    /// ID of the scheduled job.
    #[arg(value_name = "JOB")]
    scheduled_job_id: String,
    /// Time to explain, past or future, for example 2026-12-01T06:00:00Z.
    #[arg(value_name = "TIME", value_parser = time)]
    tick_at: Timestamp,
}

pub(crate) async fn list(client: &Client, output: Output, args: TicksArgs) -> Result<u8, Failure> {
    let list = client.list_ticks(args.scheduled_job_id);
    let response = if args.list.all {
        let ticks = list.stream().try_collect().await?;
        proto::ListTicksResponse { ticks, ..Default::default() }
    } else {
        list.page_size(args.list.limit).await?
    };
    let times: Vec<_> = response.ticks.iter().map(|tick| text(tick.tick_at)).collect();
    let ids: Vec<_> = times.iter().map(String::as_str).collect();
    let has_more = !response.next_page_token.is_empty();
    output
        .show(&response, &ids, |layout| render::decided_ticks(layout, &response.ticks, has_more))?;
    Ok(0)
}

pub(crate) async fn explain(
    client: &Client,
    output: Output,
    args: ExplainArgs,
) -> Result<u8, Failure> {
    let response = client.explain_tick(args.scheduled_job_id, args.tick_at).await?;
    let run = response.scraping_job.as_ref().map(|run| run.job_id.as_str());
    let ids: Vec<_> = run.into_iter().collect();
    output.show(&response, &ids, |layout| render::explanation(layout, &response))?;
    Ok(0)
}

fn text(at: Option<Timestamp>) -> String {
    at.map(|at| at.to_string()).unwrap_or_default()
}
