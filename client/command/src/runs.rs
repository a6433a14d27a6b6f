//! `windrow trigger` and `windrow runs …`: runs made by hand, looked at, cancelled, retried.

use windrow_client::{Client, proto};

use crate::args::{CancelArgs, RetryArgs, RunsCommand, RunsListArgs, SubmitArgs, TriggerArgs};
use crate::failure::Failure;
use crate::output::Output;
use crate::page::MAX_PAGES;
use crate::{logs, text, watch};

pub(crate) async fn run(
    client: &Client,
    output: Output,
    command: RunsCommand,
) -> Result<u8, Failure> {
    match command {
        RunsCommand::Get { job_id } => {
            let answer =
                client.raw().get_scraping_job(proto::GetScrapingJobRequest { job_id }).await?;
            output
                .show("GetScrapingJobResponse", &answer, |a| text::run(a.scraping_job.as_ref()))?;
        }
        RunsCommand::List(args) => list(client, output, args).await?,
        RunsCommand::Cancel(args) => cancel(client, output, args).await?,
        RunsCommand::Retry(args) => return retry(client, output, args).await,
        RunsCommand::Logs(args) => logs::show(client, output, args).await?,
        RunsCommand::Submit(args) => return submit(client, output, args).await,
    }
    Ok(0)
}

pub(crate) async fn trigger(
    client: &Client,
    output: Output,
    args: TriggerArgs,
) -> Result<u8, Failure> {
    let overrides = args.overrides.into_proto();
    let request = proto::TriggerJobRequest {
        job_id: args.job_id,
        priority: args.priority.unwrap_or_default().into(),
        overrides: (overrides != proto::ScrapeParameters::default()).then_some(overrides),
        request_id: args.once.request_id,
        validate_only: args.once.validate_only,
        labels: args.labels.into_iter().collect(),
    };
    let answer = client.raw().trigger_job(request).await?;
    output.show("TriggerJobResponse", &answer, |a| text::triggered(a, args.watch))?;
    if args.watch { watch::one(client, output, &answer.job_id, Some(0)).await } else { Ok(0) }
}

async fn cancel(client: &Client, output: Output, args: CancelArgs) -> Result<(), Failure> {
    if let Some(job_id) = args.job_id {
        let request = proto::CancelScrapingJobRequest { job_id };
        let answer = client.raw().cancel_scraping_job(request).await?;
        let text = |a: &proto::CancelScrapingJobResponse| text::run(a.scraping_job.as_ref());
        return output.show("CancelScrapingJobResponse", &answer, text);
    }
    let request = proto::CancelScrapingJobsRequest {
        scheduled_job_id: args.scheduled_job_id.unwrap_or_default(),
        filter: args.filter.unwrap_or_default(),
        validate_only: args.dry_run,
    };
    let answer = client.raw().cancel_scraping_jobs(request).await?;
    let told = if args.dry_run { text::would_be_cancelled } else { text::cancelled };
    output.show("CancelScrapingJobsResponse", &answer, told)
}

async fn retry(client: &Client, output: Output, args: RetryArgs) -> Result<u8, Failure> {
    let request = proto::RetryFailedLocationsRequest {
        job_id: args.job_id,
        priority: args.priority.unwrap_or_default().into(),
        request_id: args.once.request_id,
        validate_only: args.once.validate_only,
    };
    let answer = client.raw().retry_failed_locations(request).await?;
    output.show("RetryFailedLocationsResponse", &answer, |a| text::run(a.scraping_job.as_ref()))?;
    if !args.watch {
        return Ok(0);
    }
    let run = answer.scraping_job.ok_or(Failure::Incomplete("run"))?;
    watch::one(client, output, &run.job_id, Some(0)).await
}

async fn submit(client: &Client, output: Output, args: SubmitArgs) -> Result<u8, Failure> {
    let request = proto::SubmitScrapingJobRequest {
        parameters: Some(args.parameters.into_proto()),
        priority: args.priority.unwrap_or_default().into(),
        available_at: args.available_at,
        request_id: args.once.request_id,
        validate_only: args.once.validate_only,
        labels: args.labels.into_iter().collect(),
        policy: args.policy.into_proto(),
    };
    let answer = client.raw().submit_scraping_job(request).await?;
    output.show("SubmitScrapingJobResponse", &answer, |a| text::run(a.scraping_job.as_ref()))?;
    if !args.watch {
        return Ok(0);
    }
    let run = answer.scraping_job.ok_or(Failure::Incomplete("run"))?;
    watch::one(client, output, &run.job_id, Some(0)).await
}

async fn list(client: &Client, output: Output, args: RunsListArgs) -> Result<(), Failure> {
    let mut request = proto::ListScrapingJobsRequest {
        scheduled_job_id: args.scheduled_job_id,
        status: args.status.unwrap_or_default().into(),
        page_size: args.page.page_size,
        page_token: args.page.page_token,
        filter: args.filter,
    };
    let mut answer = client.raw().list_scraping_jobs(request.clone()).await?;
    let mut pages = 1;
    while args.page.all && !answer.next_page_token.is_empty() && pages < MAX_PAGES {
        request.page_token.clone_from(&answer.next_page_token);
        let next = client.raw().list_scraping_jobs(request.clone()).await?;
        answer.scraping_jobs.extend(next.scraping_jobs);
        answer.next_page_token = next.next_page_token;
        pages += 1;
    }
    output.show("ListScrapingJobsResponse", &answer, text::runs)
}
