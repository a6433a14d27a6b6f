//! Watching one run until it ends.

use std::mem;
use std::time::Duration;

use futures::future;
use futures::stream::{self, BoxStream};
use futures::{Stream, TryStreamExt};
use tonic::Status;

use super::events::WatchEvent;
use super::is_final;
use crate::endpoints::Route;
use crate::proto::{self, ScrapingJobView, WatchKind};
use crate::reconnect::{PATIENCE, Reconnecting};
use crate::{Client, Error};

type Message = proto::WatchScrapingJobResponse;

impl Client {
    /// The run's current state, then its later ones, up to the final one, whole. An error ends the stream;
    /// a lost connection is one after a minute without another.
    ///
    /// ```no_run
    /// # use futures::TryStreamExt;
    /// # async fn example(client: windrow_client::Client) -> Result<(), windrow_client::Error> {
    /// let mut states = client.watch("triggered_daily_1736841234_0123456789ab");
    /// while let Some(run) = states.try_next().await? {
    ///     println!("{:?}, {} rows", run.status(), run.properties_scraped);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn watch(
        &self,
        job_id: &str,
    ) -> impl Stream<Item = Result<proto::ScrapingJob, Error>> + Send + Unpin + use<> {
        states(events(self, job_id, None, Gap::Fails))
    }

    /// The states after a revision already seen, with 0 every one since the run was made; none if the
    /// run had ended by then.
    pub fn watch_from(
        &self,
        job_id: &str,
        after_revision: i64,
    ) -> impl Stream<Item = Result<proto::ScrapingJob, Error>> + Send + Unpin + use<> {
        states(events(self, job_id, Some(after_revision), Gap::Fails))
    }

    /// The same states, as `Current` or `Changed`, and where the watch itself is: `Interrupted` when its
    /// connection is lost, `Synced` when all that is current, or was missed, has come. For those who show it.
    pub fn watch_events(
        &self,
        job_id: &str,
        after_revision: Option<i64>,
    ) -> impl Stream<Item = Result<WatchEvent, Error>> + Send + Unpin + use<> {
        events(self, job_id, after_revision, Gap::Fails)
    }

    /// Like [`Client::watch`], but begins anew where states are lost for good: the end is not among them.
    pub(crate) fn watch_for_end(
        &self,
        job_id: &str,
    ) -> impl Stream<Item = Result<proto::ScrapingJob, Error>> + Send + Unpin + use<> {
        states(events(self, job_id, None, Gap::BeginsAnew))
    }
}

fn events(
    client: &Client,
    job_id: &str,
    revision: Option<i64>,
    gap: Gap,
) -> BoxStream<'static, Result<WatchEvent, Error>> {
    let watch = Watch {
        line: Reconnecting::new(client, "WatchScrapingJob", PATIENCE),
        job_id: job_id.to_owned(),
        revision,
        token: String::new(),
        phase: Phase::Untouched,
        gap,
        pause: None,
        lost: false,
    };
    Box::pin(stream::try_unfold(watch, Watch::next))
}

fn states(
    events: BoxStream<'static, Result<WatchEvent, Error>>,
) -> BoxStream<'static, Result<proto::ScrapingJob, Error>> {
    Box::pin(events.try_filter_map(|event| future::ok(event.into_run())))
}

struct Watch {
    line: Reconnecting<Message>,
    job_id: String,
    /// The last one seen.
    revision: Option<i64>,
    /// The last one received; empty before the first.
    token: String,
    phase: Phase,
    gap: Gap,
    /// Before the next connection, once the loss is told.
    pause: Option<Duration>,
    /// Told of, until something is received again.
    lost: bool,
}

/// What comes of states that are lost for good.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gap {
    Fails,
    BeginsAnew,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No state received yet: a stream that ends now had nothing newer to tell.
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
                // The contract ends a stream only after the final state; a proxy may not.
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
            // A server takes one of the two.
            after_revision: self.revision.filter(|_| !resumed),
            resume_token: self.token.clone(),
            view: ScrapingJobView::Full.into(),
        };
        let open = |route: Route| async move { route.runs().watch_scraping_job(request).await };
        self.line.receive(open).await
    }

    fn accept(&mut self, message: Message) -> Option<WatchEvent> {
        self.lost = false;
        let kind = message.kind();
        if !message.resume_token.is_empty() && message.resume_token != self.token {
            self.token = message.resume_token;
            self.line.restore();
        }
        match kind {
            WatchKind::Current => self.news(message.scraping_job?).map(WatchEvent::Current),
            WatchKind::Changed => self.news(message.scraping_job?).map(WatchEvent::Changed),
            WatchKind::Synced => Some(WatchEvent::Synced),
            // Unspecified is also what this version does not know: only its token counts.
            WatchKind::Unspecified | WatchKind::Left | WatchKind::Bookmark => None,
        }
    }

    /// The run, if it is news.
    fn news(&mut self, run: proto::ScrapingJob) -> Option<proto::ScrapingJob> {
        self.phase = if is_final(run.status()) { Phase::Ended } else { Phase::Open };
        if self.revision.is_some_and(|seen| run.revision <= seen) {
            return None;
        }
        self.revision = Some(run.revision);
        self.line.restore();
        Some(run)
    }

    /// Gets ready to go on, or says why that cannot be.
    fn lose(&mut self, status: Status) -> Result<Option<WatchEvent>, Error> {
        match self.line.lose(status) {
            Ok(loss) => {
                self.pause = Some(loss.pause);
                let told = mem::replace(&mut self.lost, true);
                Ok((!told).then_some(WatchEvent::Interrupted(loss.error)))
            }
            Err(error) => {
                self.pause = Some(self.begin_anew(error)?);
                Ok(None)
            }
        }
    }

    /// Where that is asked for and helps; the pause before it. After a reset the run may be at a lower
    /// revision, or gone.
    fn begin_anew(&mut self, error: Error) -> Result<Duration, Error> {
        let gap = matches!(error, Error::TokenExpired { .. } | Error::FeedReset { .. });
        if !gap || self.gap == Gap::Fails {
            return Err(error);
        }
        self.token.clear();
        self.revision = None;
        self.line.pause_anew().ok_or(error)
    }
}
