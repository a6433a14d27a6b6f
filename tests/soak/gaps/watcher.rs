//! A watcher that survives every fault by its last resume token, and records each message.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::{sleep, timeout};
use tonic::transport::Endpoint;
use tonic::{Code, Status as Refusal};
use windrow_client::proto;

use crate::stage::Stage;
use crate::support::watching::request;
use proto::scraping_job_service_client::ScrapingJobServiceClient;
use proto::{ScrapingJobStatus as Status, WatchKind as Kind};

type Messages = BoxStream<'static, Result<proto::WatchScrapingJobsResponse, Refusal>>;

/// The runs that a watcher follows.
#[derive(Clone, Debug)]
pub enum Interest {
    Everything,
    Job(&'static str),
    Status(Status),
    Urgent,
    Run(String),
}

/// A message with a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub kind: Kind,
    pub job_id: String,
    pub revision: i64,
    pub status: Status,
}

pub struct Watcher {
    pub interest: Interest,
    stage: Arc<Stage>,
    random: Mutex<StdRng>,
    record: Mutex<Record>,
}

#[derive(Default)]
struct Record {
    seen: Vec<Seen>,
    /// The last revision seen of each run.
    latest: HashMap<String, i64>,
    token: String,
    synced: u32,
    repeated: u32,
}

impl Watcher {
    pub fn new(interest: Interest, stage: &Arc<Stage>, seed: u64) -> Self {
        let random = Mutex::new(StdRng::seed_from_u64(seed));
        Self { interest, stage: Arc::clone(stage), random, record: Mutex::default() }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.record.lock().unwrap().seen.clone()
    }

    /// Streams that reached SYNCED, and repeated messages.
    pub fn figures(&self) -> (u32, u32) {
        let record = self.record.lock().unwrap();
        (record.synced, record.repeated)
    }

    /// Follows one run to its end, everything else until the test ends.
    pub async fn follow(&self) {
        loop {
            let address = self.stage.line(self.random(0..2)).address.clone();
            match self.one_stream(&address).await {
                Ok(()) if self.is_at_the_end() => return,
                Ok(()) => {}
                Err(refusal) => assert!(is_transient(&refusal), "{:?}: {refusal:?}", self.interest),
            }
            sleep(Duration::from_millis(u64::try_from(self.random(50..400)).unwrap())).await;
        }
    }

    /// Reads until the stream ends, with pauses at random.
    async fn one_stream(&self, address: &str) -> Result<(), Refusal> {
        let open = timeout(Duration::from_secs(5), self.open(address));
        let mut messages = open.await.map_err(|_| Refusal::unavailable("slow"))??;
        let mut revisions: HashMap<String, i64> = HashMap::new();
        loop {
            // The connection of a server that was killed behind a frozen line never ends.
            let message = timeout(Duration::from_secs(15), messages.next()).await;
            match message.map_err(|_| Refusal::unavailable("silent"))? {
                Some(message) => self.record(message?, &mut revisions),
                None => return Ok(()),
            }
            if self.random(0..400) == 0 {
                sleep(Duration::from_secs(3)).await;
            }
        }
    }

    fn record(
        &self,
        message: proto::WatchScrapingJobsResponse,
        in_stream: &mut HashMap<String, i64>,
    ) {
        let kind = message.kind();
        let mut record = self.record.lock().unwrap();
        record.synced += u32::from(kind == Kind::Synced);
        if let Some(run) = message.scraping_job {
            let before = in_stream.insert(run.job_id.clone(), run.revision);
            assert!(
                before.is_none_or(|before| before < run.revision),
                "{:?}: an older revision",
                self.interest
            );
            let latest = record.latest.entry(run.job_id.clone()).or_default();
            if *latest < run.revision {
                *latest = run.revision;
                let status = run.status();
                let proto::ScrapingJob { job_id, revision, .. } = run;
                record.seen.push(Seen { kind, job_id, revision, status });
            } else {
                record.repeated += 1;
            }
        }
        if !message.resume_token.is_empty() {
            record.token = message.resume_token;
        }
    }

    async fn open(&self, address: &str) -> Result<Messages, Refusal> {
        let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await;
        let channel = channel.map_err(|error| Refusal::unavailable(error.to_string()))?;
        let mut service = ScrapingJobServiceClient::new(channel);
        let resume_token = self.record.lock().unwrap().token.clone();
        if let Interest::Run(run) = &self.interest {
            let after_revision = resume_token.is_empty().then_some(0);
            let job_id = run.clone();
            let request =
                proto::WatchScrapingJobRequest { job_id, after_revision, resume_token, view: 0 };
            let messages = service.watch_scraping_job(request).await?.into_inner();
            return Ok(messages.map(|message| message.map(into_common_form)).boxed());
        }
        let request = proto::WatchScrapingJobsRequest { resume_token, ..self.interest.request() };
        Ok(service.watch_scraping_jobs(request).await?.into_inner().boxed())
    }

    fn is_at_the_end(&self) -> bool {
        let record = self.record.lock().unwrap();
        let last = record.seen.last().map(|seen| seen.status);
        matches!(last, Some(Status::Completed | Status::Failed | Status::Cancelled))
    }

    fn random(&self, range: std::ops::Range<usize>) -> usize {
        self.random.lock().unwrap().random_range(range)
    }
}

impl Interest {
    fn request(&self) -> proto::WatchScrapingJobsRequest {
        match self {
            Self::Everything | Self::Run(_) => request("", ""),
            Self::Urgent => request("priority = high AND labels.by = writer", ""),
            Self::Status(status) => request(&format!("status = {}", status.as_str_name()), ""),
            Self::Job(job) => proto::WatchScrapingJobsRequest {
                scheduled_job_id: (*job).to_owned(),
                ..request("origin = triggered", "")
            },
        }
    }
}

fn into_common_form(message: proto::WatchScrapingJobResponse) -> proto::WatchScrapingJobsResponse {
    let proto::WatchScrapingJobResponse { kind, scraping_job, resume_token, feed_lag } = message;
    proto::WatchScrapingJobsResponse { kind, scraping_job, resume_token, feed_lag }
}

/// Shutdown, no database, or a lost connection.
fn is_transient(refusal: &Refusal) -> bool {
    let is_lost = std::error::Error::source(refusal).is_some();
    is_lost || refusal.code() == Code::Unavailable
}
