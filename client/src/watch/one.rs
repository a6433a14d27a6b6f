//! Watches of one run until it ends.

use std::mem;
use std::time::Duration;

use futures::future;
use futures::stream::{self, BoxStream};
use futures::{Stream, TryStreamExt};
use tonic::Status;

use super::events::WatchEvent;
use super::{Gap, is_final};
use crate::endpoints::Route;
use crate::proto::{self, ScrapingJob, ScrapingJobView, WatchKind};
use crate::reconnect::{RECONNECT_TIMEOUT, Reconnecting};
use crate::{Client, Error};

type Message = proto::WatchScrapingJobResponse;

impl Client {
    /// Watches a run until it ends, across lost connections and restarted servers. By default from its current
    /// state on; see [`WatchRun`].
    ///
    /// ```no_run
    /// # use futures::TryStreamExt;
    /// # async fn example(client: windrow_client::Client) -> Result<(), windrow_client::Error> {
    /// let run = client.trigger_job("sample_sold_daily").await?;
    /// let mut states = client.watch(&run.job_id).from_start().states();
    /// while let Some(run) = states.try_next().await? {
    ///     println!("{:?}, {} rows", run.status(), run.properties_scraped);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn watch(&self, run_id: impl Into<String>) -> WatchRun {
        let (job_id, gap) = (run_id.into(), Gap::Fails);
        WatchRun { client: self.clone(), job_id, after_revision: None, gap }
    }
}

/// A watch of one run. Call [`WatchRun::states`] or [`WatchRun::events`] to start it.
///
/// The stream ends after the final state, or with an error. A lost connection becomes an error after a minute
/// without progress.
#[derive(Clone, Debug)]
#[must_use = "a watch does nothing until its states or events are read"]
pub struct WatchRun {
    client: Client,
    job_id: String,
    after_revision: Option<i64>,
    gap: Gap,
}

impl WatchRun {
    /// Starts with the first state of the run instead of the current one: the full history, up to the server's
    /// retention of events (7 days by default).
    pub fn from_start(self) -> Self {
        self.after(0)
    }

    /// Starts after this `revision` of the run, the last one seen. The stream is empty if the run ended with it.
    pub fn after(self, revision: i64) -> Self {
        Self { after_revision: Some(revision), ..self }
    }

    /// Starts over where states are lost for good, for callers that only need the final state.
    pub(crate) fn restart_after_gap(self) -> Self {
        Self { gap: Gap::StartsOver, ..self }
    }

    /// Streams the states of the run.
    pub fn states(self) -> impl Stream<Item = Result<ScrapingJob, Error>> + Send + Unpin + use<> {
        self.stream().try_filter_map(|event| future::ok(event.into_run()))
    }

    /// Streams the states as `Current` or `Changed`, and the state of the watch itself: `Interrupted` when its
    /// connection is lost, `Synced` when everything current or missed was received.
    pub fn events(self) -> impl Stream<Item = Result<WatchEvent, Error>> + Send + Unpin + use<> {
        self.stream()
    }

    fn stream(self) -> BoxStream<'static, Result<WatchEvent, Error>> {
        let watch = Watch {
            stream: Reconnecting::new(&self.client, "WatchScrapingJob", RECONNECT_TIMEOUT),
            job_id: self.job_id,
            revision: self.after_revision,
            token: String::new(),
            phase: Phase::Untouched,
            gap: self.gap,
            pause: None,
            is_interrupted: false,
        };
        Box::pin(stream::try_unfold(watch, Watch::next))
    }
}

struct Watch {
    stream: Reconnecting<Message>,
    job_id: String,
    /// The last revision seen.
    revision: Option<i64>,
    /// The last resume token received; empty before the first.
    token: String,
    phase: Phase,
    gap: Gap,
    /// Pause before the next connection, after `Interrupted` was returned.
    pause: Option<Duration>,
    /// `Interrupted` was returned, and nothing received since.
    is_interrupted: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No state received yet: a stream that ends now has nothing newer.
    Untouched,
    Open,
    Ended,
}

impl Watch {
    async fn next(mut self) -> Result<Option<(WatchEvent, Self)>, Error> {
        while self.phase != Phase::Ended {
            if let Some(pause) = self.pause.take() {
                tokio::time::sleep(pause).await;
            }
            let event = match self.receive().await {
                Ok(Some(message)) => self.accept(message),
                Ok(None) if self.phase == Phase::Untouched => return Ok(None),
                // The server ends a stream only after the final state; a proxy may do it earlier.
                Ok(None) => self.lose(Status::unavailable("the watch ended before the run did"))?,
                Err(status) => self.lose(status)?,
            };
            if let Some(event) = event {
                return Ok(Some((event, self)));
            }
        }
        Ok(None)
    }

    async fn receive(&mut self) -> Result<Option<Message>, Status> {
        let resumed = !self.token.is_empty();
        let request = proto::WatchScrapingJobRequest {
            job_id: self.job_id.clone(),
            // The server accepts only one of revision and token.
            after_revision: self.revision.filter(|_| !resumed),
            resume_token: self.token.clone(),
            view: ScrapingJobView::Full.into(),
        };
        let open = |route: Route| async move { route.runs().watch_scraping_job(request).await };
        self.stream.receive(open).await
    }

    fn accept(&mut self, message: Message) -> Option<WatchEvent> {
        self.is_interrupted = false;
        let kind = message.kind();
        if !message.resume_token.is_empty() && message.resume_token != self.token {
            self.token = message.resume_token;
            self.stream.progress();
        }
        match kind {
            WatchKind::Current => self.take(message.scraping_job?).map(WatchEvent::Current),
            WatchKind::Changed => self.take(message.scraping_job?).map(WatchEvent::Changed),
            WatchKind::Synced => Some(WatchEvent::Synced),
            // Unspecified stands for kinds that this version does not know: only the token counts.
            WatchKind::Unspecified | WatchKind::Left | WatchKind::Bookmark => None,
        }
    }

    /// Returns the run if its revision is new.
    fn take(&mut self, run: ScrapingJob) -> Option<ScrapingJob> {
        self.phase = if is_final(run.status()) { Phase::Ended } else { Phase::Open };
        if self.revision.is_some_and(|seen| run.revision <= seen) {
            return None;
        }
        self.revision = Some(run.revision);
        self.stream.progress();
        Some(run)
    }

    /// Prepares to reconnect, or returns the error that ends the watch.
    fn lose(&mut self, status: Status) -> Result<Option<WatchEvent>, Error> {
        match self.stream.lose(status) {
            Ok(loss) => {
                self.pause = Some(loss.pause);
                let was_interrupted = mem::replace(&mut self.is_interrupted, true);
                Ok((!was_interrupted).then_some(WatchEvent::Interrupted(loss.error)))
            }
            Err(error) => {
                self.pause = Some(self.start_over(error)?);
                Ok(None)
            }
        }
    }

    /// Starts over if the watch should and the error allows it; returns the pause before that. After a reset the
    /// run may have a lower revision, or no longer exist.
    fn start_over(&mut self, error: Error) -> Result<Duration, Error> {
        let gap = matches!(error, Error::TokenExpired(_) | Error::FeedReset(_));
        if !gap || self.gap == Gap::Fails {
            return Err(error);
        }
        self.token.clear();
        self.revision = None;
        self.stream.pause_before_restart().ok_or(error)
    }
}
