//! Watches without the client library, message by message.

use proto::scraping_job_service_client::ScrapingJobServiceClient;
use proto::{ScrapingJob, WatchKind as Kind};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt as _;
use windrow_client::proto;

use super::PATIENCE;

/// Initial window size of RFC 9113, in bytes.
const SMALLEST_WINDOW: u32 = 65_535;

/// The service without the client library. Its small window soon blocks a server whose messages are not read.
pub async fn service(address: &str) -> ScrapingJobServiceClient<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let endpoint = endpoint.initial_stream_window_size(SMALLEST_WINDOW);
    ScrapingJobServiceClient::new(endpoint.connect().await.unwrap())
}

/// A stream of WatchScrapingJobs.
pub struct Feed {
    messages: Streaming<proto::WatchScrapingJobsResponse>,
    /// Last resume token received.
    pub token: String,
}

impl Feed {
    pub async fn of(address: &str, filter: &str, token: &str) -> Result<Self, Status> {
        Self::open(address, request(filter, token)).await
    }

    pub async fn open(
        address: &str,
        request: proto::WatchScrapingJobsRequest,
    ) -> Result<Self, Status> {
        let messages = service(address).await.watch_scraping_jobs(request).await?.into_inner();
        Ok(Self { messages, token: String::new() })
    }

    /// The next message except bookmarks.
    pub async fn next(&mut self) -> Result<(Kind, ScrapingJob), Status> {
        loop {
            let (kind, run) = self.message().await?;
            if kind != Kind::Bookmark {
                return Ok((kind, run));
            }
        }
    }

    pub async fn message(&mut self) -> Result<(Kind, ScrapingJob), Status> {
        let message = tokio::time::timeout(PATIENCE, self.messages.message()).await;
        let message = message.expect("the feed sends nothing")?.expect("the feed ended");
        let kind = message.kind();
        assert_eq!(message.resume_token.is_empty(), kind == Kind::Current, "{message:?}");
        assert_eq!(
            message.scraping_job.is_none(),
            matches!(kind, Kind::Synced | Kind::Bookmark),
            "{message:?}"
        );
        if !message.resume_token.is_empty() {
            self.token = message.resume_token;
        }
        Ok((kind, message.scraping_job.unwrap_or_default()))
    }

    /// The lag in the next message, which has to be a bookmark.
    pub async fn bookmark(&mut self) -> Option<std::time::Duration> {
        let message = tokio::time::timeout(PATIENCE, self.messages.message()).await;
        let message = message.expect("the feed sends nothing").unwrap().expect("the feed ended");
        assert_eq!(message.kind(), Kind::Bookmark, "{message:?}");
        self.token = message.resume_token;
        message.feed_lag.map(|lag| lag.try_into().unwrap())
    }

    /// The next message with a run. It may arrive before or after SYNCED, depending on other transactions of the
    /// cluster.
    pub async fn next_run(&mut self) -> ScrapingJob {
        loop {
            if let (Kind::Current | Kind::Changed | Kind::Left, run) = self.next().await.unwrap() {
                return run;
            }
        }
    }

    /// Reads to SYNCED and returns the current runs.
    pub async fn sync(&mut self) -> Vec<ScrapingJob> {
        let mut runs = Vec::new();
        loop {
            match self.next().await.unwrap() {
                (Kind::Synced, _) => return runs,
                (_, run) => runs.push(run),
            }
        }
    }
}

pub fn request(filter: &str, token: &str) -> proto::WatchScrapingJobsRequest {
    proto::WatchScrapingJobsRequest {
        filter: filter.to_owned(),
        resume_token: token.to_owned(),
        ..Default::default()
    }
}

/// Code and reason of a status.
pub fn refusal(status: &Status) -> (Code, String) {
    let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
    (status.code(), reason)
}
