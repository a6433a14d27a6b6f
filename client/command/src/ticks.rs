//! `windrow ticks`, `explain`, `backfill` and `preview`: what became of ticks and why, runs of past ones,
//! and when the next ones are.

use windrow_client::{Client, proto};

use crate::args::{BackfillArgs, PreviewArgs};
use crate::failure::Failure;
use crate::output::Output;
use crate::page::{MAX_PAGES, PageArgs};
use crate::text;

pub(crate) async fn list(
    client: &Client,
    output: Output,
    scheduled_job_id: String,
    page: PageArgs,
) -> Result<u8, Failure> {
    let mut request = proto::ListTicksRequest {
        scheduled_job_id,
        page_size: page.page_size,
        page_token: page.page_token,
    };
    let mut answer = client.raw().list_ticks(request.clone()).await?;
    let mut pages = 1;
    while page.all && !answer.next_page_token.is_empty() && pages < MAX_PAGES {
        request.page_token.clone_from(&answer.next_page_token);
        let next = client.raw().list_ticks(request.clone()).await?;
        answer.ticks.extend(next.ticks);
        answer.next_page_token = next.next_page_token;
        pages += 1;
    }
    output.show("ListTicksResponse", &answer, text::decided_ticks)?;
    Ok(0)
}

pub(crate) async fn preview(
    client: &Client,
    output: Output,
    args: PreviewArgs,
) -> Result<u8, Failure> {
    let request = proto::PreviewTicksRequest {
        scheduled_job_id: args.scheduled_job_id.unwrap_or_default(),
        cron_expression: args.cron_expression.unwrap_or_default(),
        timezone: args.timezone.unwrap_or_default(),
        after: args.after,
        count: args.count,
    };
    let answer = client.raw().preview_ticks(request).await?;
    output.show("PreviewTicksResponse", &answer, text::ticks)?;
    Ok(0)
}

pub(crate) async fn explain(
    client: &Client,
    output: Output,
    scheduled_job_id: String,
    tick_at: prost_types::Timestamp,
) -> Result<u8, Failure> {
    let request = proto::ExplainTickRequest { scheduled_job_id, tick_at: Some(tick_at) };
    let answer = client.raw().explain_tick(request).await?;
    output.show("ExplainTickResponse", &answer, text::explanation)?;
    Ok(0)
}

pub(crate) async fn backfill(
    client: &Client,
    output: Output,
    args: BackfillArgs,
) -> Result<u8, Failure> {
    let dry_run = args.dry_run;
    let request = proto::BackfillScheduledJobRequest {
        scheduled_job_id: args.scheduled_job_id,
        start_time: Some(args.from),
        end_time: Some(args.to),
        priority: args.priority.unwrap_or_default().into(),
        request_id: String::new(),
        validate_only: dry_run,
    };
    let answer = client.raw().backfill_scheduled_job(request).await?;
    let verb = if dry_run { "would be made" } else { "made" };
    output.show("BackfillScheduledJobResponse", &answer, |a| text::backfilled(a, verb))?;
    Ok(0)
}
