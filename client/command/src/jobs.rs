//! `windrow jobs …`: scheduled jobs.

use windrow_client::{Client, proto};

use crate::args::{CreateArgs, JobsCommand, JobsListArgs, UpdateArgs};
use crate::failure::Failure;
use crate::output::Output;
use crate::page::MAX_PAGES;
use crate::text;

pub(crate) async fn run(
    client: &Client,
    output: Output,
    command: JobsCommand,
) -> Result<u8, Failure> {
    match command {
        JobsCommand::Create(args) => create(client, output, args).await?,
        JobsCommand::Get { scheduled_job_id, limit } => {
            let request =
                proto::GetScheduledJobRequest { scheduled_job_id, include_runs: None, limit };
            let answer = client.raw().get_scheduled_job(request).await?;
            output.show("GetScheduledJobResponse", &answer, text::job_with_runs)?;
        }
        JobsCommand::List(args) => list(client, output, args).await?,
        JobsCommand::Update(args) => update(client, output, args).await?,
        JobsCommand::Pause { scheduled_job_id, reason, until } => {
            let request =
                proto::PauseScheduledJobRequest { scheduled_job_id, reason, paused_until: until };
            let answer = client.raw().pause_scheduled_job(request).await?;
            output.show("PauseScheduledJobResponse", &answer, |a| {
                text::job(a.scheduled_job.as_ref())
            })?;
        }
        JobsCommand::Resume { scheduled_job_id, catch_up } => {
            let request = proto::ResumeScheduledJobRequest { scheduled_job_id, catch_up };
            let answer = client.raw().resume_scheduled_job(request).await?;
            output.show("ResumeScheduledJobResponse", &answer, |a| {
                text::job(a.scheduled_job.as_ref())
            })?;
        }
        JobsCommand::Deactivate { scheduled_job_id } => {
            let request = proto::DeactivateScheduledJobRequest { scheduled_job_id };
            let answer = client.raw().deactivate_scheduled_job(request).await?;
            let name = "DeactivateScheduledJobResponse";
            output.show(name, &answer, |a| text::job(a.scheduled_job.as_ref()))?;
        }
        JobsCommand::Delete { scheduled_job_id, etag } => {
            let request = proto::DeleteScheduledJobRequest { scheduled_job_id, etag };
            let answer = client.raw().delete_scheduled_job(request).await?;
            output.show("DeleteScheduledJobResponse", &answer, |a| {
                text::job(a.scheduled_job.as_ref())
            })?;
        }
        JobsCommand::Undelete { scheduled_job_id } => {
            let request = proto::UndeleteScheduledJobRequest { scheduled_job_id };
            let answer = client.raw().undelete_scheduled_job(request).await?;
            output.show("UndeleteScheduledJobResponse", &answer, |a| {
                text::job(a.scheduled_job.as_ref())
            })?;
        }
    }
    Ok(0)
}

pub(crate) async fn stats(
    client: &Client,
    output: Output,
    scheduled_job_id: String,
    window: Option<prost_types::Duration>,
) -> Result<u8, Failure> {
    let request = proto::GetScheduledJobStatsRequest { scheduled_job_id, window };
    let answer = client.raw().get_scheduled_job_stats(request).await?;
    output.show("GetScheduledJobStatsResponse", &answer, text::stats)?;
    Ok(0)
}

/// Refuses an update of nothing before any connection is made: to the server an empty mask would
/// mean "all that is set".
pub(crate) fn check(command: &JobsCommand) -> Result<(), Failure> {
    if let JobsCommand::Update(args) = command
        && args.job.mask().is_empty()
    {
        return Err(Failure::Usage(
            "nothing to change was given; see `windrow jobs update --help`",
        ));
    }
    Ok(())
}

async fn create(client: &Client, output: Output, args: CreateArgs) -> Result<(), Failure> {
    let request = proto::CreateScheduledJobRequest {
        scheduled_job: Some(args.job.into_proto(args.scheduled_job_id.unwrap_or_default())),
        request_id: args.once.request_id,
        validate_only: args.once.validate_only,
    };
    let answer = client.raw().create_scheduled_job(request).await?;
    output.show("CreateScheduledJobResponse", &answer, |a| text::job(a.scheduled_job.as_ref()))
}

async fn update(client: &Client, output: Output, args: UpdateArgs) -> Result<(), Failure> {
    let paths: Vec<String> = args.job.mask().into_iter().map(str::to_owned).collect();
    let job = args.job.into_proto(args.scheduled_job_id);
    let request = proto::UpdateScheduledJobRequest {
        scheduled_job: Some(proto::ScheduledJob { etag: args.etag, ..job }),
        update_mask: Some(prost_types::FieldMask { paths }),
        validate_only: args.validate_only,
    };
    let answer = client.raw().update_scheduled_job(request).await?;
    output.show("UpdateScheduledJobResponse", &answer, |a| text::job(a.scheduled_job.as_ref()))
}

async fn list(client: &Client, output: Output, args: JobsListArgs) -> Result<(), Failure> {
    let mut request = proto::ListScheduledJobsRequest {
        status: args.status.unwrap_or_default().into(),
        page_size: args.page.page_size,
        page_token: args.page.page_token,
        show_deleted: args.show_deleted,
        filter: args.filter,
    };
    let mut answer = client.raw().list_scheduled_jobs(request.clone()).await?;
    let mut pages = 1;
    while args.page.all && !answer.next_page_token.is_empty() && pages < MAX_PAGES {
        request.page_token.clone_from(&answer.next_page_token);
        let next = client.raw().list_scheduled_jobs(request.clone()).await?;
        answer.scheduled_jobs.extend(next.scheduled_jobs);
        answer.next_page_token = next.next_page_token;
        pages += 1;
    }
    output.show("ListScheduledJobsResponse", &answer, text::jobs)
}
