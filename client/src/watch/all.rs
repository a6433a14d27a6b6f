//! Watching all runs that match, without end.
//!
//! What is current is held back until all of it has come. A connection lost in between costs nothing then:
//! the current runs are asked for again, and nobody was told of one whose end would be missed.

use std::collections::VecDeque;
use std::time::Duration;

use futures::stream;
use tonic::Status;

use super::events::{Step, WatchEvent, WatchEvents};
use super::is_final;
use super::seen::Seen;
use crate::endpoints::Route;
use crate::proto::{self, ScrapingJob, WatchKind};
use crate::reconnect::Reconnecting;
use crate::requests::WatchAll;
use crate::{Client, Error};

type Message = proto::WatchScrapingJobsResponse;

/// An endless watch waits for its server for ever; it tells of the loss.
const PATIENCE: Duration = Duration::MAX;

impl Client {
    /// The pending and running runs that match, then every change of status of any run that matches, without
    /// end and across lost connections.
    ///
    /// By default it ends by [`Error::TokenExpired`] or [`Error::FeedReset`] where changes are lost for good,
    /// so that nobody misses any without knowing. Who only shows the present state asks for
    /// [`WatchAll::resync`].
    ///
    /// ```no_run
    /// use futures::TryStreamExt;
    /// use windrow_client::{Client, Error, WatchAll, WatchEvent};
    ///
    /// # async fn example(client: Client) -> Result<(), Error> {
    /// let watch = WatchAll::new().filter("labels.team = sales");
    /// let mut events = client.watch_all(watch);
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
    pub fn watch_all(&self, watch: WatchAll) -> WatchEvents {
        let token = watch.request.resume_token.clone();
        let told = token.clone();
        let all = All {
            line: Reconnecting::new(self, "WatchScrapingJobs", PATIENCE),
            request: watch.request,
            told,
            resync: watch.resync,
            seen: Seen::default(),
            current: Vec::new(),
            ready: VecDeque::new(),
            pause: None,
            lost: false,
        };
        WatchEvents::new(Box::pin(stream::try_unfold(all, All::next)), token)
    }
}

struct All {
    line: Reconnecting<Message>,
    /// Its token is where to go on.
    request: proto::WatchScrapingJobsRequest,
    /// The token that came with the last event.
    told: String,
    resync: bool,
    seen: Seen,
    /// Held back until SYNCED.
    current: Vec<ScrapingJob>,
    /// To be told, in order.
    ready: VecDeque<Step>,
    /// Before the next connection, once what is ready is told.
    pause: Option<Duration>,
    /// Told of, until something is received again.
    lost: bool,
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
        self.line.receive(open).await
    }

    fn take(&mut self, message: Message) {
        self.lost = false;
        let (kind, run, token) = (message.kind(), message.scraping_job, message.resume_token);
        if !token.is_empty() && token != self.request.resume_token {
            self.request.resume_token.clone_from(&token);
            self.line.restore();
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
                self.tell_current();
                Some(WatchEvent::Synced)
            }
            // Unspecified is also what this version does not know: only its token counts.
            (WatchKind::Bookmark | WatchKind::Unspecified, _) => {
                (!token.is_empty() && token != self.told).then_some(WatchEvent::Bookmark)
            }
            (_, None) => None,
        };
        if event.is_some() {
            self.told.clone_from(&token);
        }
        self.ready.push_back(Step { event, resume_token: token, feed_lag: lag });
    }

    fn changed(&mut self, run: ScrapingJob) -> Option<WatchEvent> {
        let news = self.seen.is_news(&run);
        if news && is_final(run.status()) {
            self.seen.leave(&run);
        }
        news.then_some(WatchEvent::Changed(run))
    }

    fn left(&mut self, run: ScrapingJob) -> Option<WatchEvent> {
        let news = self.seen.is_news(&run);
        if news {
            self.seen.leave(&run);
        }
        news.then_some(WatchEvent::Left(run))
    }

    fn tell_current(&mut self) {
        for run in self.current.drain(..) {
            if self.seen.is_news(&run) {
                let event = Some(WatchEvent::Current(run));
                self.ready.push_back(Step { event, ..Step::default() });
            }
        }
    }

    /// Gets ready to go on, or says why that cannot be.
    fn lose(&mut self, status: Status) -> Result<(), Error> {
        self.current.clear();
        let event = match self.line.lose(status) {
            Ok(loss) => {
                self.pause = Some(loss.pause);
                (!self.lost).then_some(WatchEvent::Interrupted(loss.error))
            }
            Err(error @ (Error::TokenExpired { .. } | Error::FeedReset { .. })) if self.resync => {
                self.request.resume_token.clear();
                self.seen.forget();
                self.pause = self.line.pause_anew();
                Some(WatchEvent::Resynced(error))
            }
            Err(error) => return Err(error),
        };
        self.lost = true;
        self.ready.extend(event.map(|event| Step { event: Some(event), ..Step::default() }));
        Ok(())
    }
}
