//! Events of watches, and the stream of a watch of many runs.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{Stream, StreamExt};

use crate::Error;
use crate::proto::ScrapingJob;

/// An event of a watch: of [`crate::WatchAll::events`], or of [`crate::WatchRun::events`] for one run.
#[derive(Debug)]
#[non_exhaustive]
pub enum WatchEvent {
    /// A run that was pending or running when the watch started. These come first, newest first.
    Current(ScrapingJob),
    /// All current runs were returned; changes follow. Also after each reconnect, when all missed changes were
    /// returned.
    Synced,
    /// A run changed, or is new.
    Changed(ScrapingJob),
    /// A run changed and no longer matches the filter.
    Left(ScrapingJob),
    /// No run changed, but [`WatchEvents::resume_token`] advanced. Store it: old tokens expire.
    Bookmark,
    /// The connection was lost. The watch resumes by itself, without a gap, as soon as a server answers. Once per
    /// loss, to be shown to people.
    Interrupted(Error),
    /// Changes were lost for good, for this reason, and the watch starts over: discard every run that is not
    /// returned between here and the next `Synced`. Only with [`crate::WatchAll::resync`]; otherwise the reason
    /// is an error that ends the stream.
    Resynced(Error),
}

impl WatchEvent {
    /// The run of the event, if it has one.
    pub fn run(&self) -> Option<&ScrapingJob> {
        match self {
            Self::Current(run) | Self::Changed(run) | Self::Left(run) => Some(run),
            Self::Synced | Self::Bookmark | Self::Interrupted(_) | Self::Resynced(_) => None,
        }
    }

    pub(super) fn into_run(self) -> Option<ScrapingJob> {
        match self {
            Self::Current(run) | Self::Changed(run) | Self::Left(run) => Some(run),
            Self::Synced | Self::Bookmark | Self::Interrupted(_) | Self::Resynced(_) => None,
        }
    }
}

/// The stream of [`crate::WatchAll::events`]. It ends only with an error.
#[must_use = "a stream does nothing unless it is polled"]
pub struct WatchEvents {
    steps: BoxStream<'static, Result<Step, Error>>,
    resume_token: String,
    feed_lag: Option<Duration>,
}

/// Result of one message, or of the loss of the stream.
#[derive(Debug, Default)]
pub(super) struct Step {
    pub(super) event: Option<WatchEvent>,
    pub(super) resume_token: String,
    pub(super) feed_lag: Option<Duration>,
}

impl WatchEvents {
    pub(super) fn new(
        steps: BoxStream<'static, Result<Step, Error>>,
        resume_token: String,
    ) -> Self {
        Self { steps, resume_token, feed_lag: None }
    }

    /// Position after the last event, for [`crate::WatchAll::resume_from`]; empty before the first `Synced`.
    /// Store it after handling each event, including `Bookmark`.
    pub fn resume_token(&self) -> &str {
        &self.resume_token
    }

    /// Age of the oldest change that the server may be unable to show yet, because a transaction in the
    /// database's cluster is open or the database does not answer. Reported every ten seconds while there are no
    /// events; `None` after any other message.
    pub fn feed_lag(&self) -> Option<Duration> {
        self.feed_lag
    }
}

impl Stream for WatchEvents {
    type Item = Result<WatchEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let step = match ready!(self.steps.poll_next_unpin(context)) {
                Some(Ok(step)) => step,
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            };
            if !step.resume_token.is_empty() {
                self.resume_token = step.resume_token;
            }
            self.feed_lag = step.feed_lag;
            if let Some(event) = step.event {
                return Poll::Ready(Some(Ok(event)));
            }
        }
    }
}

impl fmt::Debug for WatchEvents {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("WatchEvents")
            .field("resume_token", &self.resume_token)
            .field("feed_lag", &self.feed_lag)
            .finish_non_exhaustive()
    }
}
