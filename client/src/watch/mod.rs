//! Watching one run until it ends, across lost connections and restarted servers.
//!
//! Promises: revisions only grow, nothing is repeated, and the last item is the final state. An item
//! is the run at one revision; progress in between may be merged by the server.
//!
//! ```text
//! connect(after the last revision) ──▶ receive ──▶ final state: end
//!        ▲                                │
//!        └── pause ◀── UNAVAILABLE or connection lost, for less than PATIENCE
//! ```

use futures::Stream;
use futures::stream::{self, BoxStream};
use tokio::time::Instant;
use tonic::{Status, Streaming};

use crate::patience::{PATIENCE, Patience};
use crate::proto::{self, ScrapingJobStatus};
use crate::{CALL_DEADLINE, Client, Error};

impl Client {
    /// The run's current state, then its later ones, up to the final one. An error ends the stream.
    pub fn watch(
        &self,
        job_id: &str,
    ) -> impl Stream<Item = Result<proto::ScrapingJob, Error>> + Send + Unpin + use<> {
        self.watch_after(job_id, None)
    }

    /// The states after a revision already seen, with 0 every one since the run was made; none if the
    /// run had ended by then.
    pub fn watch_from(
        &self,
        job_id: &str,
        after_revision: i64,
    ) -> impl Stream<Item = Result<proto::ScrapingJob, Error>> + Send + Unpin + use<> {
        self.watch_after(job_id, Some(after_revision))
    }

    fn watch_after(
        &self,
        job_id: &str,
        revision: Option<i64>,
    ) -> impl Stream<Item = Result<proto::ScrapingJob, Error>> + Send + Unpin + use<> {
        let watch = Watch {
            client: self.clone(),
            job_id: job_id.to_owned(),
            revision,
            phase: Phase::Untouched,
            stream: None,
            opened_at: Instant::now(),
            patience: Patience::default(),
        };
        let states: BoxStream<'static, _> = Box::pin(stream::try_unfold(watch, Watch::next));
        states
    }
}

struct Watch {
    client: Client,
    job_id: String,
    /// The last one seen.
    revision: Option<i64>,
    phase: Phase,
    stream: Option<Streaming<proto::WatchScrapingJobResponse>>,
    opened_at: Instant,
    patience: Patience,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing received yet: a stream that ends now had nothing newer to tell.
    Untouched,
    Open,
    Ended,
}

impl Watch {
    async fn next(mut self) -> Result<Option<(proto::ScrapingJob, Self)>, Error> {
        while self.phase != Phase::Ended {
            match self.receive().await {
                Ok(Some(run)) => {
                    if self.accept(&run) {
                        return Ok(Some((run, self)));
                    }
                }
                Ok(None) if self.phase == Phase::Untouched => return Ok(None),
                Ok(None) => {
                    // The contract ends a stream only after the final state; a proxy may not.
                    self.recover(Status::unavailable("the watch ended before the run did")).await?;
                }
                Err(status) => self.recover(status).await?,
            }
        }
        Ok(None)
    }

    async fn receive(&mut self) -> Result<Option<proto::ScrapingJob>, Status> {
        if self.stream.is_none() {
            self.stream = Some(self.open().await?);
            self.opened_at = Instant::now();
        }
        let Some(stream) = &mut self.stream else { return Ok(None) };
        while let Some(message) = stream.message().await? {
            // The others only tell where the watch is.
            if let Some(run) = message.scraping_job {
                return Ok(Some(run));
            }
        }
        Ok(None)
    }

    async fn open(&self) -> Result<Streaming<proto::WatchScrapingJobResponse>, Status> {
        let request = proto::WatchScrapingJobRequest {
            job_id: self.job_id.clone(),
            after_revision: self.revision,
            view: proto::ScrapingJobView::Full.into(),
            ..Default::default()
        };
        let mut runs = self.client.runs.clone();
        // Not `set_timeout`: that would end the whole stream.
        match tokio::time::timeout(CALL_DEADLINE, runs.watch_scraping_job(request)).await {
            Ok(response) => Ok(response?.into_inner()),
            Err(_) => Err(Status::unavailable("the server did not begin the watch in time")),
        }
    }

    /// Whether the run is news; a server may repeat a revision after a reconnection.
    fn accept(&mut self, run: &proto::ScrapingJob) -> bool {
        let news = self.revision.is_none_or(|seen| run.revision > seen);
        self.phase = if is_final(run.status()) { Phase::Ended } else { Phase::Open };
        if news {
            self.revision = Some(run.revision);
            self.patience.restore();
        }
        news
    }

    /// Waits before the next connection, or says why there will be none.
    async fn recover(&mut self, status: Status) -> Result<(), Error> {
        let opened = self.stream.take().is_some();
        // A connection that held for long was progress, though the run had nothing to tell.
        if opened && self.opened_at.elapsed() > PATIENCE {
            self.patience.restore();
        }
        self.patience.bear(self.client.server(), status).await
    }
}

fn is_final(status: ScrapingJobStatus) -> bool {
    match status {
        ScrapingJobStatus::Completed | ScrapingJobStatus::Failed | ScrapingJobStatus::Cancelled => {
            true
        }
        ScrapingJobStatus::Unspecified
        | ScrapingJobStatus::Pending
        | ScrapingJobStatus::Running => false,
    }
}

#[cfg(test)]
mod tests;
