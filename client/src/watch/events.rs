//! What a watch of many runs tells.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{Stream, StreamExt};

use crate::Error;
use crate::proto::ScrapingJob;

/// One item of [`crate::Client::watch_all`], and of [`crate::Client::watch_events`] for one run.
#[derive(Debug)]
#[non_exhaustive]
pub enum WatchEvent {
    /// A run that was pending or running when the watch began. Those come first, newest first.
    Current(ScrapingJob),
    /// All current runs have come; changes follow. Also after each resumption, when what was missed has come.
    Synced,
    /// A run has changed, or is new.
    Changed(ScrapingJob),
    /// A run has changed and does not match the filter any more.
    Left(ScrapingJob),
    /// Nothing was told for a while, and [`WatchEvents::resume_token`] has moved: it is worth keeping, as the
    /// one before expires some day.
    Bookmark,
    /// The connection is lost. The watch goes on by itself, without a gap, as soon as a server answers; this
    /// comes once for each loss, for those who show it.
    Interrupted(Error),
    /// Changes are lost for good, for the reason in it, and the watch begins anew: forget every run that
    /// is not told of from here to the next `Synced`. Only if [`crate::WatchAll::resync`] asked for it;
    /// else this reason is an error that ends the stream.
    Resynced(Error),
}

impl WatchEvent {
    /// The run that it is about.
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

/// The stream of [`crate::Client::watch_all`]. It ends only by an error.
#[must_use = "a stream does nothing unless it is polled"]
pub struct WatchEvents {
    steps: BoxStream<'static, Result<Step, Error>>,
    resume_token: String,
    feed_lag: Option<Duration>,
}

/// What one message, or the loss of the stream, comes to.
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

    /// Where to go on after the last item, with [`crate::WatchAll::resume_from`]; empty before the first
    /// `Synced`. Who keeps it after each item has the newest: when nothing happens, a `Bookmark` brings it.
    pub fn resume_token(&self) -> &str {
        &self.resume_token
    }

    /// For how long there may be changes that the server cannot show: a transaction somewhere in the database's
    /// cluster is open, or the database does not answer. Told while nothing else is, each ten seconds; after
    /// any other message it is unknown.
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
