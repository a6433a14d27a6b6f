//! Watches of all runs that match, without end.
//!
//! Current runs are held back until all of them were received. If the connection is lost before that, they
//! are requested again; otherwise the caller might have received one whose end it would then miss.

use std::collections::VecDeque;
use std::time::Duration;

use futures::stream;
use tonic::Status;

use super::events::{Step, WatchEvent, WatchEvents};
use super::seen::Seen;
use super::{Gap, is_final};
use crate::endpoints::Route;
use crate::proto::{self, ScrapingJob, ScrapingJobView, WatchKind};
use crate::reconnect::Reconnecting;
use crate::{Client, Error};

type Message = proto::WatchScrapingJobsResponse;

/// An endless watch reconnects without limit; it reports the loss.
const RECONNECT_TIMEOUT: Duration = Duration::MAX;

impl Client {
    /// Watches all runs that match, without end and across lost connections: first the pending and running
    /// ones, then every change of status. Settings and start position are in [`WatchAll`].
    ///
    /// ```no_run
    /// use futures::TryStreamExt;
    /// use windrow_client::{Client, Error, WatchEvent};
    ///
    /// # async fn example(client: Client) -> Result<(), Error> {
    /// let mut events = client.watch_all().filter("labels.team = sales").events();
    /// while let Some(event) = events.try_next().await? {
    ///     match event {
    ///         WatchEvent::Current(run) | WatchEvent::Changed(run) => {
    ///             println!("{} is {:?}", run.job_id, run.status());
    ///         }
    ///         _ => {}
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn watch_all(&self) -> WatchAll {
        WatchAll {
            client: self.clone(),
            request: proto::WatchScrapingJobsRequest::default(),
            gap: Gap::Fails,
        }
    }
}

/// A watch of many runs. Call [`WatchAll::events`] to start it.
///
/// The stream has no end. If changes are lost for good it fails with [`Error::TokenExpired`] or
/// [`Error::FeedReset`], unless [`WatchAll::resync`] is set.
#[derive(Clone, Debug)]
#[must_use = "a watch does nothing until its events are read"]
pub struct WatchAll {
    client: Client,
    request: proto::WatchScrapingJobsRequest,
    gap: Gap,
}

impl WatchAll {
    /// Only runs of this scheduled job.
    pub fn job(mut self, job_id: impl Into<String>) -> Self {
        self.request.scheduled_job_id = job_id.into();
        self
    }

    /// Only runs that match, for example `status = failed AND labels.team = sales`; see
    /// [`proto::WatchScrapingJobsRequest`].
    pub fn filter(mut self, filter: impl Into<String>) -> Self {
        self.request.filter = filter.into();
        self
    }

    /// Complete runs, with `parameters.locations` and `failed_locations`, which are empty by default.
    pub fn full(mut self) -> Self {
        self.request.view = ScrapingJobView::Full.into();
        self
    }

    /// Resumes where an earlier watch with the same job and filter was, without missing a change; see
    /// [`WatchEvents::resume_token`]. An empty token starts a new watch.
    pub fn resume_from(mut self, token: impl Into<String>) -> Self {
        self.request.resume_token = token.into();
        self
    }

    /// Starts over with [`WatchEvent::Resynced`], instead of failing, if changes are lost for good. For programs
    /// that show the current state; not for programs that count changes.
    pub fn resync(self) -> Self {
        Self { gap: Gap::StartsOver, ..self }
    }

    /// Starts the watch with the first poll.
    pub fn events(self) -> WatchEvents {
        let token = self.request.resume_token.clone();
        let all = All {
            stream: Reconnecting::new(&self.client, "WatchScrapingJobs", RECONNECT_TIMEOUT),
            request: self.request,
            returned_token: token.clone(),
            gap: self.gap,
            seen: Seen::default(),
            current: Vec::new(),
            ready: VecDeque::new(),
            pause: None,
            is_interrupted: false,
        };
        WatchEvents::new(Box::pin(stream::try_unfold(all, All::next)), token)
    }
}

struct All {
    stream: Reconnecting<Message>,
    /// Its token is the resume position.
    request: proto::WatchScrapingJobsRequest,
    /// The token of the last event.
    returned_token: String,
    gap: Gap,
    seen: Seen,
    /// Held back until SYNCED.
    current: Vec<ScrapingJob>,
    /// To be returned, in order.
    ready: VecDeque<Step>,
    /// Pause before the next connection, after everything ready was returned.
    pause: Option<Duration>,
    /// `Interrupted` was returned, and nothing received since.
    is_interrupted: bool,
}

impl All {
    async fn next(mut self) -> Result<Option<(Step, Self)>, Error> {
        loop {
            if let Some(step) = self.ready.pop_front() {
                return Ok(Some((step, self)));
            }
            if let Some(pause) = self.pause.take() {
                tokio::time::sleep(pause).await;
            }
            match self.receive().await {
                Ok(Some(message)) => self.take(message),
                Ok(None) => self.lose(Status::unavailable("the server ended the watch"))?,
                Err(status) => self.lose(status)?,
            }
        }
    }

    async fn receive(&mut self) -> Result<Option<Message>, Status> {
        let request = self.request.clone();
        let open = |route: Route| async move { route.runs().watch_scraping_jobs(request).await };
        self.stream.receive(open).await
    }

    fn take(&mut self, message: Message) {
        self.is_interrupted = false;
        let (kind, run, token) = (message.kind(), message.scraping_job, message.resume_token);
        if !token.is_empty() && token != self.request.resume_token {
            self.request.resume_token.clone_from(&token);
            self.stream.progress();
        }
        let lag = message.feed_lag.and_then(|lag| lag.try_into().ok());
        let event = match (kind, run) {
            (WatchKind::Current, Some(run)) => {
                self.current.push(run);
                None
            }
            (WatchKind::Changed, Some(run)) => self.changed(run),
            (WatchKind::Left, Some(run)) => self.left(run),
            (WatchKind::Synced, _) => {
                self.release_current();
                Some(WatchEvent::Synced)
            }
            // Unspecified stands for kinds that this version does not know: only the token counts.
            (WatchKind::Bookmark | WatchKind::Unspecified, _) => {
                (!token.is_empty() && token != self.returned_token).then_some(WatchEvent::Bookmark)
            }
            (_, None) => None,
        };
        if event.is_some() {
            self.returned_token.clone_from(&token);
        }
        self.ready.push_back(Step { event, resume_token: token, feed_lag: lag });
    }

    fn changed(&mut self, run: ScrapingJob) -> Option<WatchEvent> {
        let is_new = self.seen.is_new(&run);
        if is_new && is_final(run.status()) {
            self.seen.leave(&run);
        }
        is_new.then_some(WatchEvent::Changed(run))
    }

    fn left(&mut self, run: ScrapingJob) -> Option<WatchEvent> {
        let is_new = self.seen.is_new(&run);
        if is_new {
            self.seen.leave(&run);
        }
        is_new.then_some(WatchEvent::Left(run))
    }

    fn release_current(&mut self) {
        for run in self.current.drain(..) {
            if self.seen.is_new(&run) {
                let event = Some(WatchEvent::Current(run));
                self.ready.push_back(Step { event, ..Step::default() });
            }
        }
    }

    /// Prepares to reconnect, or returns the error that ends the watch.
    fn lose(&mut self, status: Status) -> Result<(), Error> {
        self.current.clear();
        let event = match self.stream.lose(status) {
            Ok(loss) => {
                self.pause = Some(loss.pause);
                (!self.is_interrupted).then_some(WatchEvent::Interrupted(loss.error))
            }
            Err(error @ (Error::TokenExpired(_) | Error::FeedReset(_)))
                if self.gap == Gap::StartsOver =>
            {
                self.request.resume_token.clear();
                self.seen.clear();
                self.pause = self.stream.pause_before_restart();
                Some(WatchEvent::Resynced(error))
            }
            Err(error) => return Err(error),
        };
        self.is_interrupted = true;
        self.ready.extend(event.map(|event| Step { event: Some(event), ..Step::default() }));
        Ok(())
    }
}
