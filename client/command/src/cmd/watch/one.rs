//! A watch of one run, until it ends.

use std::io::{self, IsTerminal};
use std::mem;
use std::time::Duration;

use console::is_dumb;
use futures::{Stream, TryStreamExt};
use tokio::time::{Instant, MissedTickBehavior};
use windrow_client::proto::{ScrapingJob, ScrapingJobStatus};
use windrow_client::{Client, Error, WatchEvent};

use super::bar::Bar;
use super::object::show_event;
use super::{INTERRUPTED, connection_lost, unless_interrupted};
use crate::failure::Failure;
use crate::output::{Format, Output, hint, line};
use crate::render::{self, Layout};

/// Redraws the bar at this interval, so that the remaining time decreases between events.
const REDRAW_INTERVAL: Duration = Duration::from_secs(1);

/// A run that is still pending after this time waits for something. The reason may change.
const ASK_AFTER: Duration = Duration::from_secs(2);
const ASK_INTERVAL: Duration = Duration::from_secs(10);
/// The events of the watch wait meanwhile.
const ASK_PATIENCE: Duration = Duration::from_secs(2);

/// Position in the history of the run at which a watch starts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start {
    Now,
    History,
    /// After this revision.
    After(i64),
}

/// Follows the run until it ends or Ctrl-C is pressed. After Ctrl-C the run continues.
pub(crate) async fn one(
    client: &Client,
    output: Output,
    job_id: &str,
    start: Start,
) -> Result<u8, Failure> {
    let mut view = View::new(output);
    let watch = match start {
        Start::Now => client.watch(job_id),
        Start::History => client.watch(job_id).from_start(),
        Start::After(revision) => client.watch(job_id).after(revision),
    };
    let followed = async {
        match follow(client, watch.events(), &mut view).await? {
            Some(run) => {
                view.clear();
                view.end(&run)?;
                Ok(run)
            }
            // The run had ended at or before the given revision.
            None => Ok(client.get_run(job_id).await?),
        }
    };
    let followed = unless_interrupted(followed).await;
    view.clear();
    let followed = followed.map_err(|failure| match failure {
        Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Failure::Unfollowed,
        failure => failure,
    });
    if let Some(run) = followed? {
        return Ok(exit_code(&run));
    }
    hint(&format!(
        "The run continues. Watch it again: windrow watch {job_id}\n\
         Cancel it: windrow runs cancel {job_id}"
    ));
    Ok(INTERRUPTED)
}

async fn follow(
    client: &Client,
    mut events: impl Stream<Item = Result<WatchEvent, Error>> + Unpin,
    view: &mut View,
) -> Result<Option<ScrapingJob>, Failure> {
    let (mut last, mut is_interrupted) = (None::<ScrapingJob>, false);
    let mut ask = tokio::time::interval_at(Instant::now() + ASK_AFTER, ASK_INTERVAL);
    ask.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut redraw = tokio::time::interval(REDRAW_INTERVAL);
    loop {
        tokio::select! {
            event = events.try_next() => match event? {
                Some(WatchEvent::Interrupted(error)) => {
                    view.connection_lost(&error);
                    is_interrupted = true;
                }
                Some(event) => {
                    if mem::take(&mut is_interrupted) {
                        view.reconnected();
                    }
                    view.show(&event)?;
                    last = event.run().cloned().or(last);
                }
                None => return Ok(last),
            },
            _ = redraw.tick() => view.redraw(),
            _ = ask.tick(), if view.is_for_people() && !is_interrupted => {
                tell_reason(client, last.as_ref(), view).await?;
            }
        }
    }
}

/// Shows why the run waits, if it does: a watch does not say that. It does not matter if the server cannot tell.
async fn tell_reason(
    client: &Client,
    run: Option<&ScrapingJob>,
    view: &mut View,
) -> Result<(), Failure> {
    let Some(run) = run.filter(|run| run.status() == ScrapingJobStatus::Pending) else {
        return Ok(());
    };
    let call = client.get_run(&run.job_id).into_future();
    let asked = tokio::time::timeout(ASK_PATIENCE, call).await;
    let now = asked.ok().and_then(Result::ok).filter(|now| now.revision == run.revision);
    now.map_or(Ok(()), |now| view.show(&WatchEvent::Changed(now)))
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

enum View {
    /// One object per event.
    Objects(Output),
    /// One line per state that reads differently from the one before.
    Lines { layout: Layout, last: String },
    /// A bar on the terminal, and finally a line.
    Bar { layout: Layout, bar: Box<Bar> },
    /// Only the exit code.
    Nothing,
}

impl View {
    fn new(output: Output) -> Self {
        let layout = output.layout;
        match output.format {
            Format::Json | Format::Yaml => Self::Objects(output),
            Format::Quiet => Self::Nothing,
            Format::Table if io::stderr().is_terminal() && !is_dumb() => {
                Self::Bar { layout, bar: Box::new(Bar::new(layout)) }
            }
            Format::Table => Self::Lines { layout, last: String::new() },
        }
    }

    fn show(&mut self, event: &WatchEvent) -> Result<(), Failure> {
        match (self, event.run()) {
            (Self::Objects(output), _) => {
                show_event(*output, event, "", None)?;
            }
            (Self::Lines { layout, last }, Some(run)) => {
                let text = render::progress(layout, run);
                if *last != text {
                    line(&text)?;
                    *last = text;
                }
            }
            (Self::Bar { bar, .. }, Some(run)) => bar.show(run),
            (Self::Lines { .. } | Self::Bar { .. }, None) | (Self::Nothing, _) => {}
        }
        Ok(())
    }

    /// Not for programs, which count on one object per event.
    fn is_for_people(&self) -> bool {
        matches!(self, Self::Lines { .. } | Self::Bar { .. })
    }

    fn connection_lost(&mut self, error: &Error) {
        match self {
            Self::Bar { bar, .. } => bar.connection_lost(connection_lost(error)),
            Self::Objects(_) | Self::Lines { .. } | Self::Nothing => hint(&connection_lost(error)),
        }
    }

    fn reconnected(&mut self) {
        match self {
            Self::Bar { bar, .. } => bar.reconnected(),
            Self::Objects(_) | Self::Lines { .. } | Self::Nothing => hint("Reconnected"),
        }
    }

    fn redraw(&mut self) {
        if let Self::Bar { bar, .. } = self {
            bar.redraw();
        }
    }

    fn clear(&mut self) {
        if let Self::Bar { bar, .. } = self {
            bar.clear();
        }
    }

    /// Prints the final state in place of a bar; the other views have shown it.
    fn end(&self, run: &ScrapingJob) -> io::Result<()> {
        match self {
            Self::Bar { layout, .. } => line(&render::progress(layout, run)),
            Self::Objects(_) | Self::Lines { .. } | Self::Nothing => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_is_the_end_of_the_run() {
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
