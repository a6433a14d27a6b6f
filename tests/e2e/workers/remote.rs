//! Rust workers in the role of another process, and calls that the server refuses.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::{Map, json};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use windrow_client::worker::{Property, Source, SourceError, Task, Worker};
use windrow_client::{Client, Code, proto};
use windrow_server::sources::{SourceSettings, WorkerSettings};

use crate::support::{PATIENCE, QUICK, Windrow, eventually, job, parameters, wait_for};
use proto::ScrapingJobStatus as Status;
use proto::worker_service_client::WorkerServiceClient;

const REMOTE: &str = "remote";

/// Three listings per location, except that `nowhere` fails and `stuck` never ends.
struct Places;

#[async_trait]
impl Source for Places {
    fn timeout(&self) -> Duration {
        PATIENCE
    }

    async fn scrape(&self, task: &Task) -> Result<(), SourceError> {
        task.log(format!("looks at {}", task.location()));
        match task.location() {
            "nowhere" => return Err(SourceError::permanent("no such place")),
            "stuck" => task.cancelled().await,
            place => {
                for number in 1..=3 {
                    let body = Map::from_iter([("number".to_owned(), json!(number))]);
                    task.push(Property::new(format!("{place} {number}"), body)).await?;
                }
            }
        }
        Ok(())
    }
}

async fn start() -> Windrow {
    let remote = SourceSettings::Worker(WorkerSettings::default());
    Windrow::start_with(|config| config.sources.extend([(REMOTE.to_owned(), remote)])).await
}

/// Starts a worker that stops when the returned token is cancelled.
#[expect(clippy::disallowed_methods, reason = "a test has no supervisor")]
fn work(client: &Client) -> CancellationToken {
    let stop = CancellationToken::new();
    let worker = Worker::new(client).source(REMOTE, Places).grace(Duration::ZERO);
    drop(tokio::spawn(worker.run(stop.clone())));
    stop
}

async fn connect(windrow: &Windrow) -> WorkerServiceClient<Channel> {
    WorkerServiceClient::connect(format!("http://{}", windrow.address())).await.unwrap()
}

fn lease(sources: &[&str], capacity: i32) -> proto::LeaseScrapingJobsRequest {
    proto::LeaseScrapingJobsRequest {
        worker_id: "by-hand".to_owned(),
        sources: sources.iter().map(|name| (*name).to_owned()).collect(),
        capacity,
        wait: Some(prost_types::Duration::default()),
        held: Vec::new(),
    }
}

fn at(locations: &[&str]) -> proto::ScheduledJob {
    let locations = locations.iter().map(|place| (*place).to_owned()).collect();
    let request_delay = Some(prost_types::Duration::default());
    let parameters = proto::ScrapeParameters { locations, request_delay, ..parameters(REMOTE) };
    proto::ScheduledJob { parameters: Some(parameters), ..job("job") }
}

#[tokio::test]
async fn a_worker_executes_runs_and_failed_locations_can_be_retried() {
    let windrow = start().await;
    windrow.create_as(at(&["here", "nowhere", "there"])).await.unwrap();
    let run = windrow.trigger("job").await.job_id;
    let waits = windrow.get_run(&run).await.pending_reason.unwrap();
    assert_eq!(waits.code(), proto::PendingReasonCode::NoWorker);
    assert_eq!(waits.message, "a worker for source 'remote': none is connected");

    let stop = work(&windrow.client);
    let ended = windrow.end(&run).await;

    assert_eq!((ended.status(), ended.attempt), (Status::Completed, 1), "{ended:#?}");
    assert_eq!((ended.properties_scraped, ended.properties_inserted), (6, 6));
    let failed = &ended.failed_locations[0];
    assert_eq!((failed.location.as_str(), failed.permanent), ("nowhere", true));
    let logs = windrow.client.list_logs(&run).await.unwrap().logs;
    let texts: Vec<&str> = logs.iter().map(|line| line.text.as_str()).collect();
    let expected = [
        "looks at here",
        "3 listings",
        "looks at nowhere",
        "no such place",
        "looks at there",
        "3 listings",
    ];
    assert_eq!(texts, expected);

    let retry = windrow.client.retry_failed_locations(&run).await.unwrap();
    assert!(retry.job_id.starts_with("retry_job_"), "{}", retry.job_id);
    assert_eq!((retry.original_job_id, retry.scheduled_job_id), (run, "job".to_owned()));
    let retried = windrow.end(&retry.job_id).await;
    assert_eq!(
        (retried.status(), retried.attempt),
        (Status::Failed, 1),
        "a permanent failure is not retried"
    );
    assert_eq!(retried.error_message, "nowhere: no such place");
    assert_eq!(windrow.get_job("job").await.run_count, 2);
    stop.cancel();
    windrow.stop().await;
}

#[tokio::test]
async fn a_cancelled_run_stops_and_a_stopped_worker_returns_its_run() {
    let windrow = start().await;
    windrow.create_as(at(&["here", "stuck"])).await.unwrap();
    let stop = work(&windrow.client);
    let run = windrow.trigger("job").await.job_id;
    wait_for(&mut windrow.client.watch(&run).states(), Status::Running).await;

    let begin = Instant::now();
    windrow.cancel(&run).await.unwrap();
    assert_eq!(windrow.end(&run).await.status(), Status::Cancelled);
    // The promise is two seconds. Without the cancellation the run would end with the lease, after 20 s.
    assert!(begin.elapsed() < Duration::from_secs(15), "took {:?}", begin.elapsed());

    let returned = windrow.trigger("job").await.job_id;
    let mut states = windrow.client.watch(&returned).from_start().states();
    while wait_for(&mut states, Status::Running).await.completed_locations == 0 {}
    stop.cancel();
    let pending = wait_for(&mut states, Status::Pending).await;
    assert_eq!((pending.attempt, pending.max_attempts), (1, 4), "returning a run costs no attempt");
    assert_eq!(pending.completed_locations, 1, "completed locations stay completed");
    windrow.cancel(&returned).await.unwrap();
    windrow.stop().await;
}

#[tokio::test]
async fn a_worker_continues_on_another_server_when_one_stops() {
    let declare = |config: &mut windrow_server::config::Config| {
        let remote = SourceSettings::Worker(WorkerSettings::default());
        config.sources.insert(REMOTE.to_owned(), remote);
    };
    let one = Windrow::start_with(declare).await;
    let other = Windrow::start_on(&one.database_url, declare).await;
    one.create_as(at(&["here", "stuck"])).await.unwrap();
    let stop = CancellationToken::new();
    let both = Client::builder().endpoint(one.address()).endpoint(other.address());
    let both = both.connect().await.unwrap();
    let worker = Worker::new(&both).source(REMOTE, Places);
    let worker = worker.grace(Duration::ZERO).run(stop.clone());
    let users = async {
        let run = one.trigger("job").await.job_id;
        wait_for(&mut one.client.watch(&run).from_start().states(), Status::Running).await;
        one.stop().await;

        other.cancel(&run).await.unwrap();
        let ended = other.end(&run).await;
        assert_eq!((ended.status(), ended.attempt), (Status::Cancelled, 1), "its lease was kept");
        let parameters = proto::ScrapeParameters {
            locations: vec!["here".to_owned()],
            ..proto::ScrapeParameters::default()
        };
        let overridden = proto::TriggerJobRequest {
            job_id: "job".to_owned(),
            overrides: Some(parameters),
            ..Default::default()
        };
        let next = other.trigger_as(overridden).await.unwrap().job_id;
        assert_eq!(other.end(&next).await.status(), Status::Completed);
        stop.cancel();
    };
    let (ended, ()) = tokio::join!(worker, users);
    ended.unwrap();
    other.stop().await;
}

#[tokio::test]
async fn a_lease_starts_when_the_waiting_call_is_answered() {
    let windrow = start().await;
    let lease_duration = Some(prost_types::Duration { seconds: 2, nanos: 0 });
    let policy = Some(proto::RunPolicy { lease_duration, ..Default::default() });
    windrow.create_as(proto::ScheduledJob { policy, ..at(&["here"]) }).await.unwrap();
    let mut workers = connect(&windrow).await;
    let leasing = workers.lease_scraping_jobs(proto::LeaseScrapingJobsRequest {
        worker_id: "by-hand".to_owned(),
        sources: vec![REMOTE.to_owned()],
        capacity: 1,
        wait: Some(prost_types::Duration { seconds: 20, nanos: 0 }),
        held: Vec::new(),
    });
    let pool = sqlx::PgPool::connect(&windrow.database_url).await.unwrap();
    let trigger = async {
        let known = "select exists (select from worker where worker_id = 'by-hand')";
        eventually("the worker waits for a lease", async || {
            let found: bool = sqlx::query_scalar(known).fetch_one(&pool).await.unwrap();
            if found { Ok(()) } else { Err("unknown") }
        })
        .await;
        windrow.trigger("job").await;
    };
    let (leased, ()) = tokio::join!(leasing, trigger);

    let expires_in = leased.unwrap().into_inner().leases[0].expires_in.unwrap();
    let expires_in = Duration::try_from(expires_in).unwrap();
    assert!(
        expires_in > Duration::from_secs(2),
        "the lease started before the answer: {expires_in:?}"
    );
    windrow.stop().await;
}

#[tokio::test]
async fn a_lease_request_needs_a_known_source_and_a_capacity() {
    let windrow = start().await;
    let mut workers = connect(&windrow).await;
    for wrong in [lease(&["nobody's"], 1), lease(&[], 1), lease(&[REMOTE], 0)] {
        let refused = workers.lease_scraping_jobs(wrong).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
    }
    let own = workers.lease_scraping_jobs(lease(&[REMOTE, QUICK], 1)).await.unwrap_err();
    assert_eq!(own.code(), Code::InvalidArgument, "{own:?}");
    let text = "sources[1]: 'quick' is a source that this server executes itself; declare";
    assert!(own.message().starts_with(text), "{}", own.message());
    windrow.stop().await;
}

#[tokio::test]
async fn calls_without_the_lease_are_refused() {
    let windrow = start().await;
    windrow.create_as(at(&["here"])).await.unwrap();
    let run = windrow.trigger("job").await.job_id;
    let mut workers = connect(&windrow).await;
    let first = workers.lease_scraping_jobs(lease(&[REMOTE], 1)).await.unwrap().into_inner();
    let wait = Some(prost_types::Duration { seconds: 20, nanos: 0 });
    let again = proto::LeaseScrapingJobsRequest { wait, ..lease(&[REMOTE], 1) };
    let again = workers.lease_scraping_jobs(again).await.unwrap().into_inner();
    let attempt_of = |answer: &proto::LeaseScrapingJobsResponse| {
        let run = answer.leases[0].scraping_job.clone().unwrap();
        proto::Attempt { job_id: run.job_id, attempt: run.attempt }
    };
    let attempt = attempt_of(&first);
    assert_eq!(attempt, attempt_of(&again), "a lost answer is sent again");
    assert_eq!(attempt, proto::Attempt { job_id: run.clone(), attempt: 1 });

    let finish = |attempt: proto::Attempt, done: &[&str]| proto::FinishScrapingJobRequest {
        attempt: Some(attempt),
        outcome: proto::AttemptOutcome::Done.into(),
        location_results: done
            .iter()
            .map(|place| proto::LocationResult {
                location: (*place).to_owned(),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    };
    let old = proto::Attempt { attempt: 2, ..attempt.clone() };
    let refused = workers.finish_scraping_job(finish(old, &["here"])).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused:?}");
    let unsaid = workers.finish_scraping_job(finish(attempt.clone(), &[])).await.unwrap_err();
    assert_eq!(unsaid.code(), Code::InvalidArgument, "a location has no result");
    assert_eq!(windrow.get_run(&run).await.status(), Status::Running);
    for _ in 0..2 {
        let ended = workers.finish_scraping_job(finish(attempt.clone(), &["here"])).await;
        let ended = ended.unwrap().into_inner().scraping_job.unwrap();
        assert_eq!(ended.status(), Status::Completed);
    }
    assert_eq!(windrow.get_job("job").await.run_count, 1);
    windrow.stop().await;
}
