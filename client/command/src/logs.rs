//! `windrow runs logs`: what the workers and sources of a run said, also while it runs.

use std::time::Duration;

use tokio::time::Instant;
use windrow_client::{Client, Code, proto};

use crate::args::LogsArgs;
use crate::failure::Failure;
use crate::output::{self, Output};
use crate::text;

/// How often a log that is followed is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How long a log is followed while no server answers, as a watch is.
const PATIENCE: Duration = Duration::from_mins(1);
/// Lines of one answer.
const PAGE: i32 = 1_000;

pub(crate) async fn show(client: &Client, output: Output, args: LogsArgs) -> Result<(), Failure> {
    let mut request = proto::ListScrapingJobLogsRequest {
        job_id: args.job_id.clone(),
        attempt: args.attempt,
        location: args.location,
        min_level: args.min_level.unwrap_or_default().into(),
        page_size: PAGE,
        ..Default::default()
    };
    let mut heard_at = Instant::now();
    loop {
        match look(client, output, args.follow, &mut request).await {
            Ok(true) => return Ok(()),
            Ok(false) => heard_at = Instant::now(),
            // A server that is started again is back in time.
            Err(Failure::Client(error))
                if args.follow
                    && error.code() == Code::Unavailable
                    && heard_at.elapsed() < PATIENCE => {}
            Err(error) => return Err(error),
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Prints what is new; true if nothing more will come.
async fn look(
    client: &Client,
    output: Output,
    follow: bool,
    request: &mut proto::ListScrapingJobLogsRequest,
) -> Result<bool, Failure> {
    // Before the lines, so that none comes after the last look.
    let is_last = !follow || has_ended(client, &request.job_id).await?;
    loop {
        let answer = client.raw().list_scraping_job_logs(request.clone()).await?;
        for line in &answer.logs {
            match output {
                Output::Table => output::line(&text::log(line))?,
                Output::Json | Output::Yaml => {
                    output::line(&output::json("ScrapingJobLog", line)?)?;
                }
            }
        }
        let Some(last) = answer.logs.last() else { return Ok(is_last) };
        request.after_number = last.number;
    }
}

async fn has_ended(client: &Client, job_id: &str) -> Result<bool, Failure> {
    let request = proto::GetScrapingJobRequest { job_id: job_id.to_owned() };
    let run = client.raw().get_scraping_job(request).await?.scraping_job;
    Ok(run.is_none_or(|run| run.completed_at.is_some()))
}
