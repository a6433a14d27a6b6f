//! A stream of messages that is opened again when it breaks, on another server if there is one.
//!
//! It is the caller who knows where to go on: the request that opens it anew says so.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;
use tonic::{Code, Response, Status, Streaming};
use tracing::{Instrument, debug};

use crate::endpoints::Route;
use crate::{Client, Error, backoff, client, error};

/// A stream gives up when it has got nowhere for this long, unless told otherwise.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A stream that still speaks after this time holds, though it may have no news: half of what a server
/// lets pass between two bookmarks. One that speaks once and breaks, again and again, never gets here.
const HOLDS: Duration = Duration::from_secs(5);

pub(crate) struct Reconnecting<M> {
    client: Client,
    method: &'static str,
    /// Of the last attempt.
    route: Route,
    open: Option<Open<M>>,
    /// A message has come, on this stream or an earlier one.
    begun: bool,
    /// Streams lost in a row, none of which held.
    failures: u32,
    /// When a stream was lost, if nothing came of the next ones.
    stuck_since: Option<Instant>,
    patience: Duration,
}

struct Open<M> {
    messages: Streaming<M>,
    since: Instant,
}

/// A stream that will be opened again.
#[derive(Debug)]
pub(crate) struct Loss {
    pub(crate) error: Error,
    /// Before that.
    pub(crate) pause: Duration,
}

impl<M> Reconnecting<M> {
    pub(crate) fn new(client: &Client, method: &'static str, patience: Duration) -> Self {
        Self {
            client: client.clone(),
            method,
            route: client.route(),
            open: None,
            begun: false,
            failures: 0,
            stuck_since: None,
            patience,
        }
    }

    /// The next message, after opening the stream if it is not. A stream that is silent for longer counts as
    /// lost, though its connection may hold.
    pub(crate) async fn receive<F, S>(&mut self, open: F) -> Result<Option<M>, Status>
    where
        F: FnOnce(Route) -> S,
        S: Future<Output = Result<Response<Streaming<M>>, Status>>,
    {
        if self.open.is_none() {
            self.begin(open).await?;
        }
        let Some(stream) = &mut self.open else { return Ok(None) };
        let next = tokio::time::timeout(self.client.limits().silence, stream.messages.message());
        let next = next.await;
        let next = next.map_err(|_| Status::unavailable("the server has gone silent"))??;
        self.begun |= next.is_some();
        if next.is_some() && stream.since.elapsed() >= HOLDS {
            self.failures = 0;
            self.restore();
        }
        Ok(next)
    }

    async fn begin<F, S>(&mut self, open: F) -> Result<(), Status>
    where
        F: FnOnce(Route) -> S,
        S: Future<Output = Result<Response<Streaming<M>>, Status>>,
    {
        self.route = self.client.route();
        // Not as the request's own timeout: that would end the whole stream.
        let deadline = self.client.limits().deadline;
        let span = client::span(self.method);
        let opened = open(self.route.clone()).instrument(span.clone());
        let late = |_| Status::unavailable("the server did not begin the stream in time");
        let opened = tokio::time::timeout(deadline, opened).await.map_err(late).flatten();
        client::record(&span, &self.route, opened.as_ref().err());
        let messages = opened?.into_inner();
        self.open = Some(Open { messages, since: Instant::now() });
        Ok(())
    }

    /// The stream got somewhere. Pauses still grow until one holds.
    pub(crate) fn restore(&mut self) {
        self.stuck_since = None;
    }

    /// The stream is lost: how to go on, or why it will not.
    pub(crate) fn lose(&mut self, status: Status) -> Result<Loss, Error> {
        self.open = None;
        self.failures = self.failures.saturating_add(1);
        let stuck_since = *self.stuck_since.get_or_insert_with(Instant::now);
        self.client.failed(&self.route, &status);
        let full = self.is_full(&status);
        if full {
            self.client.leave(&self.route);
        }
        let elsewhere = full || error::is_lost(&status);
        let passing = elsewhere || error::retry_after(&status).is_some();
        let pause = self.pause(elsewhere, &status);
        let error = Error::from_status(self.route.server(), status);
        if !passing || stuck_since.elapsed() > self.patience {
            return Err(error);
        }
        let failures = self.failures;
        debug!(server.address = self.route.server(), failures, "Lost a stream: {error}");
        Ok(Loss { error, pause })
    }

    /// Before the caller begins anew after an error that ended the stream; nothing if that has led nowhere for
    /// too long.
    pub(crate) fn pause_anew(&self) -> Option<Duration> {
        let given_up = self.stuck_since.is_some_and(|since| since.elapsed() > self.patience);
        (!given_up).then(|| backoff::pause(self.failures, None))
    }

    /// The server's limit may be held by what is left of a connection that died; it drops that after a while.
    /// A stream that never began hears of the limit at once.
    fn is_full(&self, status: &Status) -> bool {
        self.begun && status.code() == Code::ResourceExhausted
    }

    /// None on the way to a server that has not been tried since.
    fn pause(&self, elsewhere: bool, status: &Status) -> Duration {
        if elsewhere && self.failures < self.client.shared.endpoints.count() {
            return Duration::ZERO;
        }
        backoff::pause(self.failures, error::retry_after(status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{End, Fake, Script};
    use crate::proto::scraping_job_service_client::ScrapingJobServiceClient;
    use crate::proto::scraping_job_service_server::ScrapingJobServiceServer;
    use crate::proto::{WatchScrapingJobRequest, WatchScrapingJobResponse};

    type Line = Reconnecting<WatchScrapingJobResponse>;

    fn line() -> Line {
        let client = Client::connect_lazy("127.0.0.1:1").unwrap();
        Reconnecting::new(&client, "WatchScrapingJob", PATIENCE)
    }

    fn fake(pace: Duration, script: impl Fn() -> Script<WatchScrapingJobResponse>) -> Fake {
        let fake = Fake { pace, ..Fake::default() };
        *fake.ones.lock().unwrap() = (0..100).map(|_| script()).collect();
        fake
    }

    #[expect(clippy::unnecessary_wraps, reason = "an entry of a script, beside errors")]
    fn bookmark() -> Result<WatchScrapingJobResponse, Status> {
        Ok(WatchScrapingJobResponse::default())
    }

    fn stopping() -> Result<WatchScrapingJobResponse, Status> {
        Err(Status::unavailable("stopping"))
    }

    /// One stream to its loss, and the pause after it. There is no network in between, which a paused clock
    /// would overtake.
    async fn stream(line: &mut Line, fake: &Fake) -> Result<Duration, Error> {
        let service = || ScrapingJobServiceClient::new(ScrapingJobServiceServer::new(fake.clone()));
        let open = |_| async move {
            service().watch_scraping_job(WatchScrapingJobRequest::default()).await
        };
        loop {
            if let Err(status) = line.receive(open).await {
                let loss = line.lose(status)?;
                tokio::time::sleep(loss.pause).await;
                return Ok(loss.pause);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_without_news_outlives_a_rolling_restart() {
        let bookmarks = || (vec![bookmark(), bookmark(), stopping()], End::Closed);
        let (fake, mut line) = (fake(Duration::from_secs(10), bookmarks), line());
        let begin = Instant::now();

        while begin.elapsed() < 3 * PATIENCE {
            let pause = stream(&mut line, &fake).await.unwrap();
            assert!(pause <= Duration::from_millis(100), "{pause:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn streams_that_say_one_thing_or_nothing_end_after_a_growing_pause() {
        let brief = || (vec![bookmark(), stopping()], End::Closed);
        let silent = || (vec![], End::Silent);
        for fake in [fake(Duration::ZERO, brief), fake(Duration::ZERO, silent)] {
            let (mut line, mut streams) = (line(), 1);
            let error = loop {
                match stream(&mut line, &fake).await {
                    Ok(_) => streams += 1,
                    Err(error) => break error,
                }
            };
            assert_eq!(error.code(), Code::Unavailable);
            assert!(streams < 40, "{streams}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn streams_that_get_somewhere_and_break_are_paused_for_but_not_given_up() {
        let brief = || (vec![bookmark(), stopping()], End::Closed);
        let (fake, mut line) = (fake(Duration::ZERO, brief), line());
        let begin = Instant::now();

        let mut pause = Duration::ZERO;
        while begin.elapsed() < 3 * PATIENCE {
            pause = stream(&mut line, &fake).await.unwrap();
            line.restore();
        }

        assert!(pause >= backoff::CAP / 2, "{pause:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn beginning_anew_that_leads_nowhere_is_given_up() {
        let (mut line, mut times) = (line(), 0);
        let begin = Instant::now();

        while let Some(pause) = line.pause_anew() {
            tokio::time::sleep(pause).await;
            line.lose(Status::out_of_range("the feed was reset")).unwrap_err();
            times += 1;
            assert!(times < 100, "it is never given up");
        }

        assert!(begin.elapsed() > PATIENCE);
    }
}
