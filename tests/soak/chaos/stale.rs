//! A worker that does not know that it lost its leases, and keeps calling.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use windrow_client::{Client, Code, proto};

use super::LEASE;
use crate::stage::{CALL_TIMEOUT, Stage};

/// Answers to stale calls.
#[derive(Debug, Default)]
pub struct StaleCalls {
    refused: AtomicU32,
    /// Allowed as long as nobody else has leased the run; the events show whether that is so.
    accepted: AtomicU32,
}

/// Answer to one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Accepted,
    Refused,
}

impl StaleCalls {
    /// Leases runs, is silent for longer than the lease, and then continues.
    pub async fn send(&self, stage: &Stage, stop: CancellationToken) {
        let mut number = 0;
        while !stop.is_cancelled() {
            number += 1;
            if let Some(run) = lease(stage, &format!("late-{number}")).await {
                sleep(LEASE + Duration::from_secs(2)).await;
                for address in stage.addresses() {
                    self.count(submit(&address, &run).await);
                    self.count(finish(&address, &run).await);
                }
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    pub fn refused(&self) -> u32 {
        self.refused.load(Ordering::Relaxed)
    }

    fn count(&self, answer: Option<Answer>) {
        let counter = match answer {
            Some(Answer::Accepted) => &self.accepted,
            Some(Answer::Refused) => &self.refused,
            // The server was down, or the connection broke before its answer.
            None => return,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl fmt::Display for StaleCalls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let accepted = self.accepted.load(Ordering::Relaxed);
        let refused = self.refused();
        write!(f, "{refused} stale calls refused, {accepted} accepted before the next lease")
    }
}

type Workers = proto::worker_service_client::WorkerServiceClient<tonic::transport::Channel>;

async fn connect(address: &str) -> Option<Workers> {
    let connected = timeout(CALL_TIMEOUT, Workers::connect(format!("http://{address}"))).await;
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
            held: Vec::new(),
        };
        if let Ok(Ok(answer)) = timeout(CALL_TIMEOUT, workers.lease_scraping_jobs(request)).await
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

/// Submits a row that no other worker finds. `None` if no server answers.
async fn submit(address: &str, run: &proto::ScrapingJob) -> Option<Answer> {
    let number = prost_types::value::Kind::NumberValue(f64::from(run.attempt));
    let body = [("attempt".to_owned(), prost_types::Value { kind: Some(number) })];
    let mut workers = connect(address).await?;
    let client = Client::connect_lazy(address).ok()?;
    for _ in 0..5 {
        // With the row count of the run's current worker, unless that submits at the same time.
        let asked = proto::GetScrapingJobRequest { job_id: run.job_id.clone() };
        let now = timeout(CALL_TIMEOUT, client.raw().get_scraping_job(asked))
            .await
            .ok()?
            .ok()?
            .scraping_job?;
        let request = proto::SubmitPropertiesRequest {
            worker_id: run.worker_id.clone(),
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
        let answer = match timeout(CALL_TIMEOUT, sent).await.ok()? {
            Ok(mut answers) => timeout(CALL_TIMEOUT, answers.get_mut().message()).await.ok()?,
            Err(status) => Err(status),
        };
        match answer {
            Ok(_) => return Some(Answer::Accepted),
            Err(status) if status.code() == Code::FailedPrecondition => {
                return Some(Answer::Refused);
            }
            Err(status) if status.code() == Code::InvalidArgument => {}
            Err(_) => return None,
        }
    }
    None
}

/// Finishes the attempt as failed. `None` if no server answers.
async fn finish(address: &str, run: &proto::ScrapingJob) -> Option<Answer> {
    let request = proto::FinishScrapingJobRequest {
        worker_id: run.worker_id.clone(),
        attempt: Some(attempt(run)),
        outcome: proto::AttemptOutcome::Failed.into(),
        error_message: format!("late {}", run.attempt),
        ..Default::default()
    };
    let mut workers = connect(address).await?;
    match timeout(CALL_TIMEOUT, workers.finish_scraping_job(request)).await.ok()? {
        Ok(_) => Some(Answer::Accepted),
        Err(status) if status.code() == Code::FailedPrecondition => Some(Answer::Refused),
        Err(_) => None,
    }
}
