//! The database is replaced by a restored dump or a promoted standby. Each open watch ends with FEED_RESET, each
//! old token is rejected, and a new watch works.

use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::time::timeout;
use tonic::{Code, Streaming};
use windrow_client::{Error, WatchEvent, WatchEvents, proto};

use crate::support::cluster::{Cluster, Programs};
use crate::support::database::new_database;
use crate::support::proxy::{Proxy, Upstream};
use crate::support::watching::{Feed, refusal, request, service};
use crate::support::{PATIENCE, SLOW, Windrow, job, parameters};
use proto::{
    ScrapingJobStatus as Status, WatchKind as Kind, WatchScrapingJobRequest,
    WatchScrapingJobsRequest,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_dump_ends_every_watch_and_invalidates_every_token() {
    let programs = Programs::find().await;
    let old_url = new_database().await;
    let line = Proxy::start_to(Upstream::database(&old_url)).await;
    let server = Windrow::start_on(&line.database_url(&old_url), |_| {}).await;
    let old = Kept::collect(&server, "old").await;
    let backup = programs.new_dir();
    let dump = backup.path().join("windrow.dump");
    programs.dump(&old_url, &dump);
    // Missing in the dump.
    let later = Kept::collect(&server, "later").await;
    let watches = [Watches::begin(&server, &old).await, Watches::begin(&server, &later).await];

    let cluster = Cluster::start().await;
    programs.restore(&dump, &cluster);
    let name = url::Url::parse(&old_url).unwrap().path()[1..].to_owned();
    line.leads_to(Upstream::database(&cluster.url(&name)));
    line.cut();

    for watches in watches {
        watches.report_the_reset().await;
    }
    let other = Windrow::start_on(&cluster.url(&name), |_| {}).await;
    for server in [&server, &other] {
        old.is_refused(server).await;
        later.is_refused(server).await;
        a_new_watch_works(server, "old-quick").await;
    }
    other.stop().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_standby_ends_every_watch_and_invalidates_every_token() {
    let mut primary = Cluster::start().await;
    let database = primary.create("windrow");
    let line = Proxy::start_to(Upstream::database(&database)).await;
    let url = line.database_url(&database);
    let server = Windrow::start_on(&url, |_| {}).await;
    let other = Windrow::start_on(&url, |_| {}).await;
    let standby = primary.standby().await;
    let old = Kept::collect(&server, "old").await;
    let watches = [Watches::begin(&server, &old).await, Watches::begin(&other, &old).await];
    standby.catch_up_with(&primary).await;

    primary.kill();
    line.leads_to(Upstream::database(&standby.url("windrow")));
    line.cut();
    // A standby may lag, and changes that it lacks may arrive later or be lost.
    let refused = Feed::of(&server.address(), "", "").await.err().unwrap();
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    standby.promote().await;

    for watches in watches {
        watches.report_the_reset().await;
    }
    for server in [&server, &other] {
        old.is_refused(server).await;
        a_new_watch_works(server, "old-quick").await;
    }
    other.stop().await;
    server.stop().await;
}

/// Requests with tokens that clients have stored.
struct Kept {
    run: String,
    of_many: Vec<WatchScrapingJobsRequest>,
    of_one: Vec<WatchScrapingJobRequest>,
}

impl Kept {
    /// Opens every kind of watch, also of two new jobs, reads to SYNCED and keeps the tokens.
    async fn collect(server: &Windrow, name: &str) -> Self {
        let [quick, slow] = ["quick", "slow"].map(|pace| format!("{name}-{pace}"));
        server.create(&quick).await;
        let parameters = Some(parameters(SLOW));
        server.create_as(proto::ScheduledJob { parameters, ..job(&slow) }).await.unwrap();
        let ended = server.end(&server.trigger(&quick).await.job_id).await.job_id;
        let run = server.trigger(&slow).await.job_id;
        let mut of_many = vec![
            WatchScrapingJobsRequest { scheduled_job_id: slow, ..request("", "") },
            request("", ""),
            request("status = running", ""),
            // Matches nothing.
            request("labels.team = none", ""),
        ];
        for request in &mut of_many {
            let mut feed = Feed::open(&server.address(), request.clone()).await.unwrap();
            feed.sync().await;
            request.resume_token = feed.token;
        }
        let mut of_one = Vec::new();
        for job_id in [&run, &ended] {
            let mut request =
                WatchScrapingJobRequest { job_id: job_id.clone(), ..Default::default() };
            request.resume_token = watch_run(server, &request).await.1;
            of_one.push(request);
        }
        Self { run, of_many, of_one }
    }

    async fn is_refused(&self, server: &Windrow) {
        for request in &self.of_many {
            let refused = Feed::open(&server.address(), request.clone()).await.err().unwrap();
            assert_is_reset(&refused);
        }
        for request in &self.of_one {
            let mut service = service(&server.address()).await;
            let refused = match service.watch_scraping_job(request.clone()).await {
                Ok(answer) => answer.into_inner().message().await.unwrap_err(),
                Err(refused) => refused,
            };
            assert_is_reset(&refused);
        }
    }
}

/// Open streams of each kind, read to SYNCED.
struct Watches {
    feeds: Vec<Feed>,
    run: Streaming<proto::WatchScrapingJobResponse>,
    library: WatchEvents,
    library_of_run: BoxStream<'static, Result<proto::ScrapingJob, Error>>,
    resyncing: WatchEvents,
}

impl Watches {
    async fn begin(server: &Windrow, kept: &Kept) -> Self {
        let mut feeds = Vec::new();
        for request in &kept.of_many {
            let mut feed = Feed::open(&server.address(), request.clone()).await.unwrap();
            feed.sync().await;
            feeds.push(feed);
        }
        let (run, _) = watch_run(server, &kept.of_one[0]).await;
        let client = &server.client;
        let mut library = client.watch_all().events();
        let mut resyncing = client.watch_all().resync().events();
        for events in [&mut library, &mut resyncing] {
            assert!(is_synced(events).await);
        }
        let mut library_of_run = client.watch(&kept.run).states().boxed();
        library_of_run.next().await.unwrap().unwrap();
        Self { feeds, run, library, library_of_run, resyncing }
    }

    /// Checks that each of them reports the reset.
    async fn report_the_reset(self) {
        let Self { feeds, mut run, mut library, mut library_of_run, mut resyncing } = self;
        let told = async {
            for mut feed in feeds {
                assert_has_ended(&until_error(async || feed.message().await.map(|_| ())).await);
            }
            assert_has_ended(&until_error(async || run.message().await.map(|_| ())).await);
            let error = until_error(async || library.try_next().await.map(|_| ())).await;
            assert!(matches!(error, Error::FeedReset(_)), "{error:?}");
            let error = until_error(async || library_of_run.try_next().await.map(|_| ())).await;
            assert!(matches!(error, Error::FeedReset(_)), "{error:?}");
            while !matches!(resyncing.try_next().await.unwrap(), Some(WatchEvent::Resynced(_))) {}
            assert!(is_synced(&mut resyncing).await);
        };
        timeout(PATIENCE, told).await.expect("a watch does not report the reset");
    }
}

async fn until_error<E>(mut next: impl AsyncFnMut() -> Result<(), E>) -> E {
    loop {
        if let Err(error) = next().await {
            return error;
        }
    }
}

async fn is_synced(events: &mut WatchEvents) -> bool {
    while let Some(event) = events.try_next().await.unwrap() {
        if matches!(event, WatchEvent::Synced) {
            return true;
        }
    }
    false
}

/// The watch of a run, after its SYNCED, and the token that came with it.
async fn watch_run(
    server: &Windrow,
    request: &WatchScrapingJobRequest,
) -> (Streaming<proto::WatchScrapingJobResponse>, String) {
    let mut service = service(&server.address()).await;
    let mut states = service.watch_scraping_job(request.clone()).await.unwrap().into_inner();
    loop {
        let message = states.message().await.unwrap().expect("the stream ends before SYNCED");
        if message.kind() == Kind::Synced {
            return (states, message.resume_token);
        }
    }
}

async fn a_new_watch_works(server: &Windrow, name: &str) {
    let mut feed = Feed::of(&server.address(), "", "").await.unwrap();
    feed.sync().await;
    let run = server.trigger(name).await.job_id;
    loop {
        let state = feed.next_run().await;
        if state.job_id == run && state.status() == Status::Completed {
            break;
        }
    }
    // Its token is valid, too.
    Feed::of(&server.address(), "", &feed.token).await.unwrap().sync().await;
}

/// While the database is down, a watch may end before the server has noticed the reset.
fn assert_has_ended(status: &tonic::Status) {
    if refusal(status) != (Code::Unavailable, "DATABASE_UNAVAILABLE".to_owned()) {
        assert_is_reset(status);
    }
}

fn assert_is_reset(status: &tonic::Status) {
    assert_eq!(refusal(status), (Code::OutOfRange, "FEED_RESET".to_owned()), "{status:?}");
}
