//! Users who edit, pause, resume and trigger jobs during the faults.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use windrow_client::proto;

use super::TICK;
use crate::stage::Stage;
use crate::support::{job, parameters};

/// All are due at the same instants, so that the servers decide at the same time.
const JOBS: usize = 36;

/// Numbers of calls.
#[derive(Debug, Default)]
pub struct Actions {
    pub triggers: i64,
    edits: u32,
    pauses: u32,
    resumptions: u32,
}

impl fmt::Display for Actions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { triggers, edits, pauses, resumptions } = self;
        write!(f, "{triggers} triggers, {edits} edits, {pauses} pauses, {resumptions} resumptions")
    }
}

/// Jobs with every overlap and catch-up policy; half of them have long runs.
pub async fn create_jobs(stage: &Stage) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..JOBS {
        let id = format!("job{number}");
        let source = if number % 2 == 0 { "quick" } else { "two_seconds" };
        let catch_up = proto::CatchUpPolicy {
            mode: i32::try_from(1 + number / 4 % 3).unwrap(),
            limit: Some(3),
            grace: Some(prost_types::Duration { seconds: 2, nanos: 0 }),
            ..Default::default()
        };
        let scheduled_job = Some(proto::ScheduledJob {
            cron_expression: format!("@every {TICK}s"),
            parameters: Some(parameters(source)),
            overlap: i32::try_from(1 + number % 4).unwrap(),
            catch_up: Some(catch_up),
            ..job(&id)
        });
        let request_id = id.clone();
        stage
            .call(|client| {
                let request = proto::CreateScheduledJobRequest {
                    scheduled_job: scheduled_job.clone(),
                    request_id: request_id.clone(),
                    validate_only: false,
                };
                async move { client.raw().create_scheduled_job(request).await.map(drop) }
            })
            .await;
        ids.push(id);
    }
    ids
}

pub async fn work(
    stage: Arc<Stage>,
    jobs: Vec<String>,
    seed: u64,
    stop: CancellationToken,
) -> Actions {
    let mut random = StdRng::seed_from_u64(seed.wrapping_add(1));
    let mut actions = Actions::default();
    while !stop.is_cancelled() {
        let id = &jobs[random.random_range(0..jobs.len())];
        match random.random_range(0..10) {
            0..3 => {
                actions.triggers += 1;
                trigger(&stage, id, actions.triggers).await;
            }
            3..5 => {
                actions.edits += 1;
                rename(&stage, id, actions.edits).await;
            }
            5..7 => {
                actions.pauses += 1;
                pause(&stage, id, random.random_range(0..3)).await;
            }
            _ => {
                actions.resumptions += 1;
                resume(&stage, id, random.random_range(0..2) == 0).await;
            }
        }
        sleep(Duration::from_millis(random.random_range(20..150))).await;
    }
    actions
}

/// Deactivates every job, which decides its ticks up to now.
pub async fn deactivate_all(stage: &Stage, jobs: &[String]) {
    for id in jobs {
        stage
            .call(|client| {
                let request = proto::DeactivateScheduledJobRequest { scheduled_job_id: id.clone() };
                async move { client.raw().deactivate_scheduled_job(request).await.map(drop) }
            })
            .await;
    }
}

async fn trigger(stage: &Stage, id: &str, number: i64) {
    stage
        .call(|client| {
            let request = proto::TriggerJobRequest {
                job_id: id.to_owned(),
                request_id: number.to_string(),
                ..Default::default()
            };
            async move { client.trigger_job(request).await.map(drop) }
        })
        .await;
}

async fn rename(stage: &Stage, id: &str, number: u32) {
    stage
        .call(|client| {
            let scheduled_job = Some(proto::ScheduledJob {
                scheduled_job_id: id.to_owned(),
                name: format!("Edit {number}"),
                ..Default::default()
            });
            let request = proto::UpdateScheduledJobRequest { scheduled_job, ..Default::default() };
            async move { client.raw().update_scheduled_job(request).await.map(drop) }
        })
        .await;
}

/// Without an end if `seconds` is 0.
async fn pause(stage: &Stage, id: &str, seconds: i64) {
    stage
        .call(|client| {
            let now = windrow_server::clock::SystemClock::uncorrected().timestamp();
            let until = prost_types::Timestamp { seconds: now + 1 + seconds, nanos: 500_000_000 };
            let request = proto::PauseScheduledJobRequest {
                scheduled_job_id: id.to_owned(),
                reason: "repairs".to_owned(),
                paused_until: (seconds > 0).then_some(until),
            };
            async move { client.raw().pause_scheduled_job(request).await.map(drop) }
        })
        .await;
}

async fn resume(stage: &Stage, id: &str, catch_up: bool) {
    stage
        .call(|client| {
            let scheduled_job_id = id.to_owned();
            let request = proto::ResumeScheduledJobRequest { scheduled_job_id, catch_up };
            async move { client.raw().resume_scheduled_job(request).await.map(drop) }
        })
        .await;
}
