//! One run, until it ends.

use std::io::{self, IsTerminal};
use std::mem;
use std::time::Duration;

use futures::{Stream, TryStreamExt};
use windrow_client::proto::{ScrapingJob, ScrapingJobStatus};
use windrow_client::{Client, Error, WatchEvent, proto};

use super::bar::Bar;
use super::{INTERRUPTED, trying_again, unless_interrupted};
use crate::failure::Failure;
use crate::output::{Output, hint, line};
use crate::text;

/// A bar is drawn so often at least: what is left of time shrinks without news.
const REDRAW: Duration = Duration::from_secs(1);

/// Follows the run until it ends or Ctrl-C is pressed; the run itself goes on then.
pub(crate) async fn one(
    client: &Client,
    output: Output,
    job_id: &str,
    after_revision: Option<i64>,
) -> Result<u8, Failure> {
    let mut view = View::new(output);
    let watch = client.watch(job_id);
    let events = match after_revision {
        Some(revision) => watch.after(revision).events(),
        None => watch.events(),
    };
    let followed = unless_interrupted(follow(events, &mut view)).await;
    view.clear();
    match followed? {
        Some(Some(run)) => {
            view.end(&run)?;
            Ok(exit_code(&run))
        }
        // The run had ended at the given revision: nothing is news but its end.
        Some(None) => ended_before(client, job_id).await,
        None => {
            hint(&format!(
                "The run goes on. Watch it again: windrow watch {job_id}\n\
                 Cancel it: windrow runs cancel {job_id}"
            ))?;
            Ok(INTERRUPTED)
        }
    }
}

async fn follow(
    mut events: impl Stream<Item = Result<WatchEvent, Error>> + Unpin,
    view: &mut View,
) -> Result<Option<ScrapingJob>, Failure> {
    let (mut last, mut interrupted) = (None, false);
    let mut redraw = tokio::time::interval(REDRAW);
    loop {
        tokio::select! {
            event = events.try_next() => match event? {
                Some(WatchEvent::Interrupted(error)) => {
                    view.lost(&error)?;
                    interrupted = true;
                }
                Some(event) => {
                    if mem::take(&mut interrupted) {
                        view.found()?;
                    }
                    if let Some(run) = event.run() {
                        view.show(run)?;
                        last = Some(run.clone());
                    }
                }
                None => return Ok(last),
            },
            _ = redraw.tick() => view.redraw(),
        }
    }
}

async fn ended_before(client: &Client, job_id: &str) -> Result<u8, Failure> {
    let request = proto::GetScrapingJobRequest { job_id: job_id.to_owned() };
    let run = client.raw().get_scraping_job(request).await?.scraping_job;
    Ok(exit_code(&run.ok_or(Failure::Incomplete("run"))?))
}

fn exit_code(run: &ScrapingJob) -> u8 {
    match run.status() {
        ScrapingJobStatus::Completed if run.failed_location_count == 0 => 0,
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
    Bar(Box<Bar>),
}

impl View {
    fn new(output: Output) -> Self {
        match output {
            Output::Json | Output::Yaml => Self::Objects(output),
            Output::Table if io::stderr().is_terminal() => Self::Bar(Box::new(Bar::new())),
            Output::Table => Self::Lines { last: String::new() },
        }
    }

    fn show(&mut self, run: &ScrapingJob) -> Result<(), Failure> {
        match self {
            Self::Objects(output) => output.show("ScrapingJob", run, text::progress)?,
            Self::Lines { last } => {
                let text = text::progress(run);
                if *last != text {
                    line(&text)?;
                    *last = text;
                }
            }
            Self::Bar(bar) => bar.show(run),
        }
        Ok(())
    }

    /// The connection.
    fn lost(&mut self, error: &Error) -> io::Result<()> {
        match self {
            Self::Objects(_) | Self::Lines { .. } => return hint(&trying_again(error)),
            Self::Bar(bar) => bar.lost(trying_again(error)),
        }
        Ok(())
    }

    fn found(&mut self) -> io::Result<()> {
        match self {
            Self::Objects(_) | Self::Lines { .. } => return hint("Following again"),
            Self::Bar(bar) => bar.found(),
        }
        Ok(())
    }

    fn redraw(&mut self) {
        if let Self::Bar(bar) = self {
            bar.redraw();
        }
    }

    fn clear(&mut self) {
        if let Self::Bar(bar) = self {
            bar.clear();
        }
    }

    /// A bar leaves nothing behind; the others have said it.
    fn end(&self, run: &ScrapingJob) -> io::Result<()> {
        if let Self::Bar(_) = self { line(&text::progress(run)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_says_how_the_run_ended() {
        let check = |status: ScrapingJobStatus, failed_location_count, expected| {
            let status = status.into();
            let run = ScrapingJob { status, failed_location_count, ..Default::default() };
            assert_eq!(exit_code(&run), expected);
        };
        check(ScrapingJobStatus::Completed, 0, 0);
        check(ScrapingJobStatus::Completed, 1, 3);
        check(ScrapingJobStatus::Failed, 0, 4);
        check(ScrapingJobStatus::Cancelled, 0, 5);
        check(ScrapingJobStatus::Running, 0, 1);
    }
}
