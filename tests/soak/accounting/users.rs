//! People who edit, pause, resume and trigger jobs all the while.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use windrow_client::{Client, Code, Error, proto};

use super::stage::Stage;
use crate::support::{PATIENCE, job, parameters};

/// Due at the same instants, so that the servers decide at the same time.
const JOBS: usize = 36;
/// A call that gets no answer in this time goes to another server, for one may be stopped.
const CALL: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub struct Done {
    pub triggers: i64,
    edits: u32,
    pauses: u32,
    resumptions: u32,
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { triggers, edits, pauses, resumptions } = self;
        write!(f, "{triggers} triggers, {edits} edits, {pauses} pauses, {resumptions} resumptions")
    }
}

/// Jobs of every overlap and catch-up policy; half of them with runs that last.
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
            parameters: Some(parameters(source)),
            overlap: i32::try_from(1 + number % 4).unwrap(),
            catch_up: Some(catch_up),
            ..job(&id)
        });
        let request_id = id.clone();
        until_answered(stage, |client| {
            let request = proto::CreateScheduledJobRequest {
                scheduled_job: scheduled_job.clone(),
                request_id: request_id.clone(),
                validate_only: false,
            };
            async move { client.create_scheduled_job(request).await.map(drop) }
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
) -> Done {
    let mut random = StdRng::seed_from_u64(seed.wrapping_add(1));
    let mut done = Done::default();
    while !stop.is_cancelled() {
        let id = &jobs[random.random_range(0..jobs.len())];
        match random.random_range(0..10) {
            0..3 => {
                done.triggers += 1;
                trigger(&stage, id, done.triggers).await;
            }
            3..5 => {
                done.edits += 1;
                rename(&stage, id, done.edits).await;
            }
            5..7 => {
                done.pauses += 1;
                pause(&stage, id, random.random_range(0..3)).await;
            }
            _ => {
                done.resumptions += 1;
                resume(&stage, id, random.random_range(0..2) == 0).await;
            }
        }
        sleep(Duration::from_millis(random.random_range(20..150))).await;
    }
    done
}

/// Switches every job off, so that all is decided up to then.
pub async fn end(stage: &Stage, jobs: &[String]) {
    for id in jobs {
        until_answered(stage, |client| {
            let request = proto::DeactivateScheduledJobRequest { scheduled_job_id: id.clone() };
            async move { client.deactivate_scheduled_job(request).await.map(drop) }
        })
        .await;
    }
}

async fn trigger(stage: &Stage, id: &str, number: i64) {
    until_answered(stage, |client| {
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
    until_answered(stage, |client| {
        let scheduled_job = Some(proto::ScheduledJob {
            scheduled_job_id: id.to_owned(),
            name: format!("Edit {number}"),
            ..Default::default()
        });
        let request = proto::UpdateScheduledJobRequest { scheduled_job, ..Default::default() };
        async move { client.update_scheduled_job(request).await.map(drop) }
    })
    .await;
}

/// For ever if `seconds` is 0.
async fn pause(stage: &Stage, id: &str, seconds: i64) {
    until_answered(stage, |client| {
        let now = windrow_server::clock::SystemClock::uncorrected().timestamp();
        let until = prost_types::Timestamp { seconds: now + 1 + seconds, nanos: 500_000_000 };
        let request = proto::PauseScheduledJobRequest {
            scheduled_job_id: id.to_owned(),
            reason: "repairs".to_owned(),
            paused_until: (seconds > 0).then_some(until),
        };
        async move { client.pause_scheduled_job(request).await.map(drop) }
    })
    .await;
}

async fn resume(stage: &Stage, id: &str, catch_up: bool) {
    until_answered(stage, |client| {
        let scheduled_job_id = id.to_owned();
        let request = proto::ResumeScheduledJobRequest { scheduled_job_id, catch_up };
        async move { client.resume_scheduled_job(request).await.map(drop) }
    })
    .await;
}

/// Calls one server after the other: they may be stopped or gone, and so may Postgres.
async fn until_answered<F>(stage: &Stage, call: impl Fn(Client) -> F)
where
    F: Future<Output = Result<(), Error>>,
{
    let begin = Instant::now();
    let mut seen = String::new();
    while begin.elapsed() < PATIENCE {
        for address in stage.addresses() {
            let client = Client::connect_lazy(&address).unwrap();
            match timeout(CALL, call(client)).await {
                Ok(Ok(())) => return,
                Ok(Err(error)) if is_passing(&error) => seen = error.to_string(),
                Ok(Err(error)) => panic!("{error}"),
                Err(late) => seen = late.to_string(),
            }
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("no server answers: {seen}");
}

fn is_passing(error: &Error) -> bool {
    match error.code() {
        Code::Unavailable
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::Cancelled
        | Code::ResourceExhausted => true,
        // A pause that should end in the future was asked for by a call that took too long.
        Code::InvalidArgument => {
            error.to_string().contains("future") || {
                error.field_violations().iter().any(|it| it.field == "paused_until")
            }
        }
        _ => false,
    }
}
