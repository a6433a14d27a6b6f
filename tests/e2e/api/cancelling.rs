//! A cancel stops the work, and a final state is final.

use std::time::{Duration, Instant};

use windrow_client::{Code, proto};

use crate::support::{PATIENCE, SLOW, Windrow, job, parameters, wait_for};
use proto::ScrapingJobStatus as Status;

#[tokio::test]
async fn a_running_run_stops_and_its_program_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let pid_file = dir.path().join("pid");
    // A child of the program, so that the whole process group must go.
    let script = format!("sleep 600 & echo $! > {}; wait", pid_file.display());
    let settings = format!("kind = \"exec\"\ncommand = [\"sh\", \"-c\", \"{script}\"]");
    let windrow = Windrow::start_with(|config| {
        config.sources.insert("stuck".to_owned(), toml::from_str(&settings).unwrap());
    })
    .await;
    let stuck = proto::ScheduledJob { parameters: Some(parameters("stuck")), ..job("job") };
    windrow.create_as(stuck).await.unwrap();
    let run = windrow.trigger("job").await.job_id;
    let mut states = windrow.client.watch_from(&run, 0);
    wait_for(&mut states, Status::Running).await;
    let pid =
        eventually(|| std::fs::read_to_string(&pid_file).ok().filter(|p| p.ends_with('\n'))).await;

    let marked = windrow.cancel(&run).await.unwrap();
    assert_eq!(marked.status(), Status::Running);
    assert!(marked.cancel_requested_at.is_some());
    windrow.cancel(&run).await.expect("cancelling again is OK");
    let ended = wait_for(&mut states, Status::Cancelled).await;

    let took = seconds(ended.completed_at) - seconds(marked.cancel_requested_at);
    // Two seconds are promised; a loaded machine gets some more.
    assert!(took < 10.0, "took {took} seconds");
    eventually(|| (!is_alive(pid.trim())).then_some(())).await;
    assert_eq!(windrow.get_job("job").await.run_count, 1);
    windrow.stop().await;
}

#[tokio::test]
async fn an_ended_run_cannot_be_cancelled_but_a_cancelled_one_can() {
    let windrow = Windrow::start().await;
    windrow.create("job").await;
    let completed = windrow.end(&windrow.trigger("job").await.job_id).await;

    let refused = windrow.cancel(&completed.job_id).await.unwrap_err();

    assert_eq!((refused.code(), refused.reason()), (Code::FailedPrecondition, Some("RUN_ENDED")));
    assert_eq!(windrow.get_run(&completed.job_id).await, completed);
    let unknown = windrow.cancel("nope").await.unwrap_err();
    assert_eq!((unknown.code(), unknown.reason()), (Code::NotFound, Some("RUN_NOT_FOUND")));
    windrow.stop().await;
}

#[tokio::test]
async fn deleting_a_job_cancels_what_waits_and_lets_the_rest_end() {
    let windrow = Windrow::start_with(|config| config.max_concurrent_runs = 1).await;
    let slow = proto::ScheduledJob { parameters: Some(parameters(SLOW)), ..job("job") };
    windrow.create_as(slow).await.unwrap();
    let running = windrow.trigger("job").await.job_id;
    wait_for(&mut windrow.client.watch(&running), Status::Running).await;
    let pending = windrow.trigger("job").await.job_id;
    let delete = || proto::DeleteScheduledJobRequest {
        scheduled_job_id: "job".to_owned(),
        ..Default::default()
    };

    let deleted = windrow.client.delete_scheduled_job(delete()).await.unwrap();

    let deleted = deleted.scheduled_job.unwrap();
    assert!(deleted.deleted_at.is_some());
    assert_eq!((deleted.run_count, deleted.next_run_at), (1, None));
    assert_eq!(windrow.get_run(&pending).await.status(), Status::Cancelled);
    assert_eq!(windrow.get_run(&running).await.status(), Status::Running);
    let trigger = proto::TriggerJobRequest { job_id: "job".to_owned(), ..Default::default() };
    let refused = windrow.trigger_as(trigger).await.unwrap_err();
    assert_eq!((refused.code(), refused.reason()), (Code::FailedPrecondition, Some("JOB_DELETED")));
    let again = windrow.client.delete_scheduled_job(delete()).await.unwrap();
    assert_eq!(again.scheduled_job.unwrap().deleted_at, deleted.deleted_at);
    windrow.cancel(&running).await.unwrap();
    windrow.end(&running).await;
    let request = proto::UndeleteScheduledJobRequest { scheduled_job_id: "job".to_owned() };
    let restored = windrow.client.undelete_scheduled_job(request).await.unwrap();
    let restored = restored.scheduled_job.unwrap();
    assert_eq!((restored.run_count, restored.status()), (2, proto::ScheduledJobStatus::Active));
    assert!(restored.next_run_at.is_some());
    windrow.stop().await;
}

/// Waits for what another process does.
async fn eventually<T>(look: impl Fn() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < PATIENCE, "waited too long");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn is_alive(pid: &str) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !state.is_empty() && !state.contains(") Z ")
}

fn seconds(time: Option<prost_types::Timestamp>) -> f64 {
    let time = time.unwrap();
    f64::from(u32::try_from(time.seconds).unwrap()) + f64::from(time.nanos) / 1e9
}
