//! Clients that trigger runs and cancel some of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use windrow_client::{Client, proto};

use super::JOBS;
use super::crowd::Crowd;
use super::watcher::Interest;
use crate::faults::Injector;
use crate::stage::{CALL_TIMEOUT, Stage};

const WRITERS: usize = 6;
/// One run in this many has a watcher of its own.
const WATCH: usize = 20;
/// One run in this many is cancelled.
const CANCEL: usize = 7;
/// After this many runs, all with high priority are cancelled.
const CANCEL_ALL: usize = 40;
/// Between two runs of a writer that only waits for the remaining faults.
const EXTRA_INTERVAL: Duration = Duration::from_millis(200);

/// Triggers this many runs, and more until each kind of fault was injected.
pub async fn write(stage: &Arc<Stage>, crowd: &Arc<Crowd>, injector: &Arc<Injector>, count: usize) {
    let next = Arc::new(AtomicUsize::new(0));
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let (stage, crowd, next) = (Arc::clone(stage), Arc::clone(crowd), Arc::clone(&next));
        let injector = Arc::clone(injector);
        writers.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    if injector.has_injected_all() {
                        return;
                    }
                    sleep(EXTRA_INTERVAL).await;
                }
                write_one(&stage, &crowd, number).await;
            }
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended.unwrap();
    }
}

async fn write_one(stage: &Stage, crowd: &Crowd, number: usize) {
    let run = trigger(stage, number).await;
    if number.is_multiple_of(CANCEL) {
        cancel(stage, number, &run).await;
    }
    if number.is_multiple_of(CANCEL_ALL) {
        cancel_urgent(stage, number).await;
    }
    if number.is_multiple_of(WATCH) {
        crowd.add(Interest::Run(run));
    }
}

async fn trigger(stage: &Stage, number: usize) -> String {
    let priority = if number.is_multiple_of(3) {
        proto::ScrapingJobPriority::High
    } else {
        proto::ScrapingJobPriority::Normal
    };
    let request = proto::TriggerJobRequest {
        job_id: JOBS[number % JOBS.len()].to_owned(),
        request_id: format!("{number}"),
        priority: priority.into(),
        ..Default::default()
    };
    let answer = stage.call(|client| {
        let request = request.clone();
        async move { client.trigger_job(request).await }
    });
    answer.await.job_id
}

/// Asks one server, which may be down; the run may have ended.
async fn cancel(stage: &Stage, number: usize, run: &str) {
    let client = Client::connect_lazy(&stage.server(number % 2).address).unwrap();
    let request = proto::CancelScrapingJobRequest { job_id: run.to_owned() };
    timeout(CALL_TIMEOUT, client.raw().cancel_scraping_job(request)).await.ok();
}

/// Cancels many runs in one transaction while others change them.
async fn cancel_urgent(stage: &Stage, number: usize) {
    let client = Client::connect_lazy(&stage.server(number / CANCEL_ALL % 2).address).unwrap();
    let request = proto::CancelScrapingJobsRequest {
        filter: "priority = high AND labels.by = writer".to_owned(),
        ..Default::default()
    };
    timeout(CALL_TIMEOUT, client.raw().cancel_scraping_jobs(request)).await.ok();
}
