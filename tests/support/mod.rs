//! Servers, jobs and runs for the end-to-end tests and the soak suites.

pub mod cluster;
#[path = "../../server/tests/support/database.rs"]
pub mod database;
pub mod program;
pub mod proxy;
pub mod python;
pub mod tls;
pub mod venv;
pub mod watching;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt, TryStreamExt};
use windrow_client::proto::{ScrapingJob, ScrapingJobStatus as Status};
use windrow_client::{Client, Error, proto};
use windrow_server::config::{Config, Database};
use windrow_server::sources::{SampleSettings, SourceKind, SourceSettings};
use windrow_server::{Running, Server};

use self::tls::TlsFiles;

/// Limit of every wait. It says nothing about speed.
pub const PATIENCE: Duration = Duration::from_mins(1);
/// Pause between two checks of [`eventually`].
const POLL_INTERVAL: Duration = Duration::from_millis(25);
/// Source that finds a few listings immediately.
pub const QUICK: &str = "quick";
/// Source that finds its first listing immediately and the second after a minute.
pub const SLOW: &str = "slow";

/// A server in this process, and a client of it.
pub struct Windrow {
    pub client: Client,
    pub database_url: String,
    running: Running,
}

impl Windrow {
    /// Starts a server with a database of its own.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Starts a server with a database of its own and other settings.
    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::start_on(&database::new_database().await, change).await
    }

    /// Starts another server on a database.
    pub async fn start_on(database_url: &str, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = config(database_url);
        change(&mut config);
        let running = Server::start(config).await.unwrap();
        let client = Client::connect(&running.addr().to_string()).await.unwrap();
        Self { client, database_url: database_url.to_owned(), running }
    }

    /// Starts a server with TLS and a client that trusts it.
    pub async fn start_with_tls(files: &TlsFiles, change: impl FnOnce(&mut Config)) -> Self {
        let database_url = database::new_database().await;
        let mut config = Config { tls: files.settings(), ..config(&database_url) };
        change(&mut config);
        let running = Server::start(config).await.unwrap();
        let builder = Client::builder().endpoint(secure(&running));
        let client = builder.ca_certificate(files.authority.pem.clone()).connect().await.unwrap();
        Self { client, database_url, running }
    }

    /// Starts a server that the usual client cannot use.
    pub async fn start_plainly(change: impl FnOnce(&mut Config)) -> Running {
        let mut config = config(&database::new_database().await);
        change(&mut config);
        Server::start(config).await.unwrap()
    }

    /// The address of a server with TLS.
    pub fn secure_address(&self) -> String {
        secure(&self.running)
    }

    pub fn address(&self) -> String {
        self.running.addr().to_string()
    }

    pub fn metrics_address(&self) -> String {
        self.running.metrics_addr().unwrap().to_string()
    }

    pub async fn stop(self) {
        self.running.stop().await;
    }

    /// Creates a scheduled job that is not due for months and has quick sample data.
    pub async fn create(&self, id: &str) -> proto::ScheduledJob {
        self.create_as(job(id)).await.unwrap()
    }

    pub async fn create_as(&self, job: proto::ScheduledJob) -> Result<proto::ScheduledJob, Error> {
        self.client.create_job(job).await
    }

    pub async fn trigger(&self, id: &str) -> proto::TriggerJobResponse {
        self.trigger_as(proto::TriggerJobRequest { job_id: id.to_owned(), ..Default::default() })
            .await
            .unwrap()
    }

    pub async fn trigger_as(
        &self,
        request: proto::TriggerJobRequest,
    ) -> Result<proto::TriggerJobResponse, Error> {
        self.client.raw().trigger_job(request).await
    }

    /// A scheduled job with its runs.
    pub async fn get(&self, id: &str) -> proto::GetScheduledJobResponse {
        let request =
            proto::GetScheduledJobRequest { scheduled_job_id: id.to_owned(), ..Default::default() };
        self.client.raw().get_scheduled_job(request).await.unwrap()
    }

    pub async fn get_job(&self, id: &str) -> proto::ScheduledJob {
        self.client.get_job(id).await.unwrap()
    }

    pub async fn get_run(&self, id: &str) -> ScrapingJob {
        self.client.get_run(id).await.unwrap()
    }

    pub async fn cancel(&self, id: &str) -> Result<ScrapingJob, Error> {
        self.client.cancel_run(id).await
    }

    /// Every state of a run since its creation.
    pub async fn story(&self, id: &str) -> Vec<ScrapingJob> {
        self.story_within(id, PATIENCE).await
    }

    /// Like [`Self::story`], of a run that is long on a loaded machine.
    pub async fn story_within(&self, id: &str, limit: Duration) -> Vec<ScrapingJob> {
        let states = self.client.watch(id).from_start().states().try_collect();
        tokio::time::timeout(limit, states).await.expect("the run does not end").unwrap()
    }

    /// Waits for the end of a run.
    pub async fn end(&self, id: &str) -> ScrapingJob {
        self.story(id).await.pop().unwrap()
    }
}

fn secure(running: &Running) -> String {
    format!("https://{}:{}", tls::HOST, running.addr().port())
}

pub fn config(database_url: &str) -> Config {
    let sample = |pace, listings_per_location| {
        SourceSettings::Sample(SampleSettings { listings_per_location, pace })
    };
    Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        max_connections: 8,
        stop_grace: Duration::from_secs(2),
        sources: BTreeMap::from([
            (QUICK.to_owned(), sample(Duration::ZERO, 5)),
            (SLOW.to_owned(), sample(Duration::from_mins(1), 2)),
        ]),
        ..Config::new(Database::Url(database_url.to_owned()))
    }
}

/// The settings of a source as in a section of `windrow.toml`.
pub fn source_of(section: &str) -> SourceSettings {
    let mut keys: toml::Table = toml::from_str(section).unwrap();
    let kind: SourceKind = keys.remove("kind").unwrap().try_into().unwrap();
    kind.read(keys).unwrap()
}

/// A scheduled job that is not due for months and has quick sample data.
pub fn job(id: &str) -> proto::ScheduledJob {
    proto::ScheduledJob {
        scheduled_job_id: id.to_owned(),
        name: format!("Job {id}"),
        cron_expression: far_away(),
        parameters: Some(parameters(QUICK)),
        ..Default::default()
    }
}

pub fn parameters(source: &str) -> proto::ScrapeParameters {
    proto::ScrapeParameters {
        locations: vec!["Indianapolis, IN".to_owned()],
        listing_types: vec![proto::ListingType::Sold.into()],
        source: Some(source.to_owned()),
        ..Default::default()
    }
}

/// Once a year, about half a year from now.
fn far_away() -> String {
    use chrono::Datelike as _;
    let month = (windrow_server::clock::SystemClock::uncorrected().month() + 5) % 12 + 1;
    format!("0 0 1 {month} *")
}

/// Waits for the next state with this status.
pub async fn wait_for(
    states: &mut (impl Stream<Item = Result<ScrapingJob, Error>> + Unpin),
    wanted: Status,
) -> ScrapingJob {
    let found = async {
        while let Some(run) = states.next().await {
            let run = run.unwrap();
            if run.status() == wanted {
                return run;
            }
        }
        panic!("the run ended without being {wanted:?}");
    };
    tokio::time::timeout(PATIENCE, found).await.expect("the status does not come")
}

/// Polls until `check` succeeds and returns its value. Fails after [`PATIENCE`] with the last error.
pub async fn eventually<T, E: Debug, F>(what: &str, mut check: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, E>>,
{
    let begin = Instant::now();
    loop {
        match check().await {
            Ok(value) => return value,
            Err(last) => {
                assert!(
                    begin.elapsed() < PATIENCE,
                    "not within {PATIENCE:?}: {what}; last: {last:?}"
                );
            }
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// The statuses in order, without repetitions.
pub fn statuses(states: &[ScrapingJob]) -> Vec<Status> {
    let mut statuses: Vec<_> = states.iter().map(ScrapingJob::status).collect();
    statuses.dedup();
    statuses
}

/// The value of a metric of a server without TLS.
pub async fn metric_of(address: &str, name: &str) -> String {
    // reqwest requires a provider even for plain HTTP.
    rustls::crypto::ring::default_provider().install_default().ok();
    let answer = reqwest::get(format!("http://{address}/metrics")).await.unwrap();
    let media_type = answer.headers()["content-type"].to_str().unwrap().to_owned();
    assert!(media_type.starts_with("application/openmetrics-text"), "{media_type}");
    let text = answer.text().await.unwrap();
    assert!(text.ends_with("# EOF\n"), "{text}");
    let mut values = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    values.next().unwrap_or_else(|| panic!("no {name} in {text}")).to_owned()
}
