//! Many streams of WatchScrapingJobs without the client library, which record arrival times.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::{StreamExt, stream};
use proto::WatchKind as Kind;
use proto::scraping_job_service_client::ScrapingJobServiceClient;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};
use windrow_client::proto;
use windrow_server::clock::SystemClock;

const PATIENCE: Duration = Duration::from_mins(2);
/// Streams per connection.
const OF_A_CONNECTION: usize = 100;
/// Streams that are opened at once.
const AT_ONCE: usize = 16;

type Arrivals = Arc<Mutex<Vec<DateTime<Utc>>>>;

/// Open streams. They end when this is dropped.
pub(crate) struct Streams {
    arrivals: Vec<Arrivals>,
    arrived: Arc<AtomicUsize>,
    _following: JoinSet<()>,
}

impl Streams {
    /// Opens one per request and waits until all have received SYNCED.
    pub(crate) async fn open(address: &str, wanted: Vec<proto::WatchScrapingJobsRequest>) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        let mut opening = Vec::new();
        for requests in wanted.chunks(OF_A_CONNECTION) {
            let channel = endpoint.connect().await.unwrap();
            opening.extend(requests.iter().map(|request| open(channel.clone(), request.clone())));
        }
        let opened = stream::iter(opening).buffer_unordered(AT_ONCE);
        let opened: Vec<_> = timeout(PATIENCE, opened.collect()).await.unwrap();
        let arrived = Arc::new(AtomicUsize::new(0));
        let (mut arrivals, mut following) = (Vec::new(), JoinSet::new());
        for messages in opened {
            let own = Arrivals::default();
            following.spawn(follow(messages, Arc::clone(&own), Arc::clone(&arrived)));
            arrivals.push(own);
        }
        Self { arrivals, arrived, _following: following }
    }

    /// Waits until this many changes have arrived at each stream. Returns and removes their times, by stream.
    pub(crate) async fn arrivals(&self, changes: usize) -> Vec<Vec<DateTime<Utc>>> {
        let all = changes * self.arrivals.len();
        let arrived = async {
            while self.arrived.load(Ordering::Relaxed) < all {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, arrived).await.expect("changes do not arrive");
        self.arrived.fetch_sub(all, Ordering::Relaxed);
        self.arrivals.iter().map(|own| std::mem::take(&mut *own.lock().unwrap())).collect()
    }
}

/// Opens a stream and reads up to SYNCED.
async fn open(
    channel: Channel,
    request: proto::WatchScrapingJobsRequest,
) -> Streaming<proto::WatchScrapingJobsResponse> {
    let mut service = ScrapingJobServiceClient::new(channel);
    let mut messages = service.watch_scraping_jobs(request).await.unwrap().into_inner();
    while messages.message().await.unwrap().unwrap().kind() != Kind::Synced {}
    messages
}

async fn follow(
    mut messages: Streaming<proto::WatchScrapingJobsResponse>,
    arrivals: Arrivals,
    arrived: Arc<AtomicUsize>,
) {
    while let Ok(Some(message)) = messages.message().await {
        if message.kind() == Kind::Changed {
            arrivals.lock().unwrap().push(SystemClock::uncorrected());
            arrived.fetch_add(1, Ordering::Relaxed);
        }
    }
}
