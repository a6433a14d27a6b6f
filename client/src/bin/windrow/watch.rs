//! `windrow watch`, and `--watch` elsewhere: follows a run and turns its end into an exit code.

use std::io::{self, IsTerminal};

use futures::{Stream, StreamExt, TryStreamExt};
use indicatif::{ProgressBar, ProgressStyle};
use windrow_client::proto::{ScrapingJob, ScrapingJobStatus};
use windrow_client::{Client, Error};

use crate::failure::Failure;
use crate::output::{Output, hint, line};
use crate::text;

const INTERRUPTED: u8 = 130;

/// Follows the run until it ends or Ctrl-C is pressed; the run itself goes on then.
pub(crate) async fn run(
    client: &Client,
    output: Output,
    job_id: &str,
    after_revision: Option<i64>,
) -> Result<u8, Failure> {
    let mut view = View::new(output);
    let states = match after_revision {
        Some(seen) => client.watch_from(job_id, seen).left_stream(),
        None => client.watch(job_id).right_stream(),
    };
    tokio::select! {
        ended = follow(states, &mut view) => match ended? {
            Some(run) => Ok(exit_code(&run)),
            // The run had ended at the given revision: nothing is news but its end.
            None => ended_before(client, job_id).await,
        },
        pressed = tokio::signal::ctrl_c() => {
            pressed?;
            view.clear();
            hint(&format!(
                "The run goes on. Watch it again: windrow watch {job_id}\nCancel it: windrow runs cancel {job_id}"
            ))?;
            Ok(INTERRUPTED)
        }
    }
}

async fn follow(
    mut states: impl Stream<Item = Result<ScrapingJob, Error>> + Unpin,
    view: &mut View,
) -> Result<Option<ScrapingJob>, Failure> {
    let mut last = None;
    while let Some(run) = states.try_next().await? {
        view.show(&run)?;
        last = Some(run);
    }
    Ok(last)
}

async fn ended_before(client: &Client, job_id: &str) -> Result<u8, Failure> {
    let request = windrow_client::proto::GetScrapingJobRequest { job_id: job_id.to_owned() };
    let run = client.get_scraping_job(request).await?.scraping_job;
    Ok(exit_code(&run.ok_or(Failure::Incomplete("run"))?))
}

fn exit_code(run: &ScrapingJob) -> u8 {
    match run.status() {
        ScrapingJobStatus::Completed if run.failed_locations.is_empty() => 0,
        ScrapingJobStatus::Completed => 3,
        ScrapingJobStatus::Failed => 4,
        ScrapingJobStatus::Cancelled => 5,
        ScrapingJobStatus::Unspecified
        | ScrapingJobStatus::Pending
        | ScrapingJobStatus::Running => 1,
    }
}

/// How states are shown.
enum View {
    /// One object for each state.
    Objects(Output),
    /// A line for each state that reads differently from the one before.
    Lines { last: String },
    /// A bar on the terminal, and the end as a line.
    Bar(ProgressBar),
}

impl View {
    fn new(output: Output) -> Self {
        match output {
            Output::Json | Output::Yaml => Self::Objects(output),
            Output::Table if io::stderr().is_terminal() => Self::Bar(bar()),
            Output::Table => Self::Lines { last: String::new() },
        }
    }

    fn show(&mut self, run: &ScrapingJob) -> Result<(), Failure> {
        let text = text::progress(run);
        match self {
            Self::Objects(output) => output.show("ScrapingJob", run, |_| text)?,
            Self::Lines { last } if *last == text => {}
            Self::Lines { last } => {
                line(&text)?;
                *last = text;
            }
            Self::Bar(bar) => advance(bar, run, text)?,
        }
        Ok(())
    }

    fn clear(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {msg}");
    ProgressBar::new(1).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn advance(bar: &ProgressBar, run: &ScrapingJob, text: String) -> io::Result<()> {
    match run.status() {
        ScrapingJobStatus::Completed | ScrapingJobStatus::Failed | ScrapingJobStatus::Cancelled => {
            bar.finish_and_clear();
            line(&text)
        }
        ScrapingJobStatus::Unspecified
        | ScrapingJobStatus::Pending
        | ScrapingJobStatus::Running => {
            // A bar of length 0 would look complete.
            bar.set_length(u64::try_from(run.total_locations).unwrap_or_default().max(1));
            bar.set_position(u64::try_from(run.completed_locations).unwrap_or_default());
            bar.set_message(text);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use windrow_client::proto::FailedLocation;

    use super::*;

    #[test]
    fn the_exit_code_says_how_the_run_ended() {
        let check = |status: ScrapingJobStatus, failed: Vec<FailedLocation>, expected| {
            let status = status.into();
            let run = ScrapingJob { status, failed_locations: failed, ..Default::default() };
            assert_eq!(exit_code(&run), expected);
        };
        check(ScrapingJobStatus::Completed, vec![], 0);
        check(ScrapingJobStatus::Completed, vec![FailedLocation::default()], 3);
        check(ScrapingJobStatus::Failed, vec![], 4);
        check(ScrapingJobStatus::Cancelled, vec![], 5);
        check(ScrapingJobStatus::Running, vec![], 1);
    }
}
