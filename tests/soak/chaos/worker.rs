//! Workers of the chaos test: an honest one in a process of its own, and one that does not know when it
//! has lost.

use std::process::Command;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, json};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use windrow_client::worker::{Property, Source, SourceError, Task, Worker};
use windrow_client::{Client, Code, proto};

use super::stage::Stage;
use super::{LEASE, ROWS};
use crate::support::PATIENCE;

/// Tells the test program to be a worker, of the server at this address.
const VARIABLE: &str = "WINDROW_CHAOS_WORKER";
/// A call that gets no answer in this time goes to the other server.
const CALL: Duration = Duration::from_secs(3);

/// Rows that say which attempt read them.
struct Rows;

#[async_trait]
impl Source for Rows {
    fn timeout(&self) -> Duration {
        PATIENCE
    }

    async fn scrape(&self, task: &Task) -> Result<(), SourceError> {
        let (job_id, attempt) = (&task.request().job_id, task.request().attempt);
        for number in 1..=ROWS {
            let id = format!("{job_id} {} {number}", task.location());
            let body = Map::from_iter([("attempt".to_owned(), json!(attempt))]);
            task.push(Property::new(id, body)).await?;
            sleep(Duration::from_millis(30)).await;
        }
        task.log(format!("attempt {attempt}"));
        Ok(())
    }
}

/// This very program, as a worker.
pub fn worker_process(server: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "chaos::worker::process", "--ignored"]).env(VARIABLE, server);
    command
}

#[tokio::test]
#[ignore = "is a worker of the chaos test, which starts it"]
async fn process() {
    let Ok(server) = std::env::var(VARIABLE) else { return };
    let client = Client::connect_lazy(&server).unwrap();
    let worker = Worker::new(&client).source("rust", Rows).capacity(3);
    worker.run(CancellationToken::new()).await.unwrap();
}

/// What became of late calls.
#[derive(Debug, Default)]
pub struct Late {
    pub refused: u32,
    /// Nobody had taken the run yet, or so the events have to say.
    pub accepted: u32,
}

/// Leases runs, is silent for longer than the lease, and then goes on as if nothing had happened.
pub async fn send_stale_calls(stage: &Stage, stop: CancellationToken) -> Late {
    let mut late = Late::default();
    let mut number = 0;
    while !stop.is_cancelled() {
        number += 1;
        let id = format!("late-{number}");
        if let Some(run) = lease(stage, &id).await {
            sleep(LEASE + Duration::from_secs(2)).await;
            for address in stage.addresses() {
                for accepted in [submit(&address, &run).await, finish(&address, &run).await] {
                    match accepted {
                        Some(true) => late.accepted += 1,
                        Some(false) => late.refused += 1,
                        None => {}
                    }
                }
            }
        }
        sleep(Duration::from_millis(200)).await;
    }
    late
}

type Workers = proto::worker_service_client::WorkerServiceClient<tonic::transport::Channel>;

async fn connect(address: &str) -> Option<Workers> {
    let connected = timeout(CALL, Workers::connect(format!("http://{address}"))).await;
    connected.ok()?.ok()
}

async fn lease(stage: &Stage, worker_id: &str) -> Option<proto::ScrapingJob> {
    for address in stage.addresses() {
        let Some(mut workers) = connect(&address).await else { continue };
        let request = proto::LeaseScrapingJobsRequest {
            worker_id: worker_id.to_owned(),
            sources: vec!["rust".to_owned()],
            capacity: 1,
            wait: Some(prost_types::Duration { seconds: 1, nanos: 0 }),
            held_attempts: Vec::new(),
        };
        if let Ok(Ok(answer)) = timeout(CALL, workers.lease_scraping_jobs(request)).await
            && let Some(lease) = answer.into_inner().leases.pop()
        {
            return lease.scraping_job;
        }
    }
    None
}

fn attempt(run: &proto::ScrapingJob) -> proto::Attempt {
    proto::Attempt { job_id: run.job_id.clone(), attempt: run.attempt }
}

/// Sends rows that nobody else finds; whether they were taken, if that is known.
async fn submit(address: &str, run: &proto::ScrapingJob) -> Option<bool> {
    let number = prost_types::value::Kind::NumberValue(f64::from(run.attempt));
    let body = [("attempt".to_owned(), prost_types::Value { kind: Some(number) })];
    let mut workers = connect(address).await?;
    let client = Client::connect_lazy(address).ok()?;
    for _ in 0..5 {
        // It even knows what the true holder has sent, unless that sends more at the same time.
        let asked = proto::GetScrapingJobRequest { job_id: run.job_id.clone() };
        let now = timeout(CALL, client.get_scraping_job(asked)).await.ok()?.ok()?.scraping_job?;
        let request = proto::SubmitPropertiesRequest {
            attempt: Some(attempt(run)),
            scraped_before: now.properties_scraped,
            properties: vec![proto::ScrapedProperty {
                property_id: format!("{} late {}", run.job_id, run.attempt),
                location: String::new(),
                body: Some(prost_types::Struct { fields: body.clone().into() }),
            }],
            ..Default::default()
        };
        let sent = workers.submit_properties(tokio_stream::iter([request]));
        let answer = match timeout(CALL, sent).await.ok()? {
            Ok(mut answers) => timeout(CALL, answers.get_mut().message()).await.ok()?,
            Err(status) => Err(status),
        };
        match answer {
            Ok(_) => return Some(true),
            Err(status) if status.code() == Code::FailedPrecondition => return Some(false),
            Err(status) if status.code() == Code::InvalidArgument => {}
            Err(_) => return None,
        }
    }
    None
}

/// Ends the attempt as failed; whether that was taken, if that is known.
async fn finish(address: &str, run: &proto::ScrapingJob) -> Option<bool> {
    let request = proto::FinishScrapingJobRequest {
        attempt: Some(attempt(run)),
        outcome: proto::AttemptOutcome::Failed.into(),
        error_message: format!("late {}", run.attempt),
        ..Default::default()
    };
    let mut workers = connect(address).await?;
    match timeout(CALL, workers.finish_scraping_job(request)).await.ok()? {
        Ok(_) => Some(true),
        Err(status) if status.code() == Code::FailedPrecondition => Some(false),
        Err(_) => None,
    }
}
