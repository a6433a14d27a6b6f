//! Cancelling one run or many. A cancel stops the work, and a final state is final.

use std::time::SystemTime;

use chrono::{DateTime, Utc};
use windrow_client::{Code, SubmitRun, proto, reason};

use crate::support::{QUICK, SLOW, Windrow, eventually, job, parameters, source_of, wait_for};
use proto::ScrapingJobStatus as Status;

#[tokio::test]
async fn a_cancelled_run_stops_with_its_program() {
    let dir = tempfile::tempdir().unwrap();
    let pid_file = dir.path().join("pid");
    // A child of the program, so that the whole process group has to end.
    let script = format!("sleep 600 & echo $! > {}; wait", pid_file.display());
    let settings = format!("kind = \"exec\"\ncommand = [\"sh\", \"-c\", \"{script}\"]");
    let windrow = Windrow::start_with(|config| {
        config.sources.insert("stuck".to_owned(), source_of(&settings));
    })
    .await;
    let stuck = proto::ScheduledJob { parameters: Some(parameters("stuck")), ..job("job") };
    windrow.create_as(stuck).await.unwrap();
    let run = windrow.trigger("job").await.job_id;
    let mut states = windrow.client.watch(&run).from_start().states();
    wait_for(&mut states, Status::Running).await;
    let pid = eventually("the program writes its process id", async || {
        let text = std::fs::read_to_string(&pid_file).map_err(|error| error.to_string())?;
        if text.ends_with('\n') { Ok(text) } else { Err(text) }
    })
    .await;

    let marked = windrow.cancel(&run).await.unwrap();
    assert_eq!(marked.status(), Status::Running);
    assert!(marked.cancel_requested_at.is_some());
    windrow.cancel(&run).await.expect("cancelling again is OK");
    let ended = wait_for(&mut states, Status::Cancelled).await;

    let took = seconds(ended.completed_at) - seconds(marked.cancel_requested_at);
    // The promise is two seconds; a loaded machine may need more.
    assert!(took < 10.0, "took {took} seconds");
    eventually("the program's child ends", async || {
        if is_alive(pid.trim()) { Err("alive") } else { Ok(()) }
    })
    .await;
    assert_eq!(windrow.get_job("job").await.run_count, 1);
    windrow.stop().await;
}

#[tokio::test]
async fn an_ended_run_cannot_be_cancelled() {
    let windrow = Windrow::start().await;
    windrow.create("job").await;
    let completed = windrow.end(&windrow.trigger("job").await.job_id).await;

    let refused = windrow.cancel(&completed.job_id).await.unwrap_err();

    assert_eq!(
        (refused.code(), refused.reason()),
        (Code::FailedPrecondition, Some(reason::RUN_ENDED))
    );
    assert_eq!(windrow.get_run(&completed.job_id).await, completed);
    let unknown = windrow.cancel("nope").await.unwrap_err();
    assert_eq!((unknown.code(), unknown.reason()), (Code::NotFound, Some(reason::RUN_NOT_FOUND)));
    windrow.stop().await;
}

#[tokio::test]
async fn deleting_a_job_cancels_pending_runs_and_lets_running_ones_finish() {
    let windrow = Windrow::start_with(|config| config.max_concurrent_runs = 1).await;
    let slow = proto::ScheduledJob { parameters: Some(parameters(SLOW)), ..job("job") };
    windrow.create_as(slow).await.unwrap();
    let running = windrow.trigger("job").await.job_id;
    wait_for(&mut windrow.client.watch(&running).states(), Status::Running).await;
    let pending = windrow.trigger("job").await.job_id;

    let deleted = windrow.client.delete_job("job").await.unwrap();

    assert!(deleted.deleted_at.is_some());
    assert_eq!((deleted.run_count, deleted.next_run_at), (1, None));
    assert_eq!(windrow.get_run(&pending).await.status(), Status::Cancelled);
    assert_eq!(windrow.get_run(&running).await.status(), Status::Running);
    let refused = windrow.client.trigger_job("job").await.unwrap_err();
    assert_eq!(
        (refused.code(), refused.reason()),
        (Code::FailedPrecondition, Some(reason::JOB_DELETED))
    );
    let again = windrow.client.delete_job("job").await.unwrap();
    assert_eq!(again.deleted_at, deleted.deleted_at);
    windrow.cancel(&running).await.unwrap();
    windrow.end(&running).await;
    let restored = windrow.client.undelete_job("job").await.unwrap();
    assert_eq!((restored.run_count, restored.status()), (2, proto::ScheduledJobStatus::Active));
    assert!(restored.next_run_at.is_some());
    windrow.stop().await;
}

#[tokio::test]
async fn many_runs_are_cancelled_by_a_filter() {
    let windrow = Windrow::start().await;
    let later: DateTime<Utc> = "2100-01-01T00:00:00Z".parse().unwrap();
    let later = SystemTime::from(later);
    let submit =
        |team: &str| SubmitRun::from(parameters(QUICK)).available_at(later).label("team", team);
    for number in 0..450 {
        let team = if number % 3 == 0 { "other" } else { "sales" };
        windrow.client.submit_run(submit(team)).await.unwrap();
    }
    let all = windrow.client.cancel_runs().await.unwrap_err();
    assert_eq!(all.field_violations()[0].field, "filter");

    let cancel = || windrow.client.cancel_runs().filter("labels.team = sales");
    for (call, expected) in [(cancel().validate_only(), 300), (cancel(), 300), (cancel(), 0)] {
        let result = call.await.unwrap();
        assert_eq!((result.cancelled, result.cancel_requested), (expected, 0));
    }

    let left = windrow.client.list_runs().filter("status = pending").await.unwrap();
    assert_eq!(left.total, 150);
    let waits = left.scraping_jobs[0].pending_reason.clone().unwrap();
    assert_eq!(waits.message, "its time, 2100-01-01T00:00:00Z");
    windrow.stop().await;
}

fn is_alive(pid: &str) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !state.is_empty() && !state.contains(") Z ")
}

fn seconds(time: Option<prost_types::Timestamp>) -> f64 {
    let time = time.unwrap();
    f64::from(u32::try_from(time.seconds).unwrap()) + f64::from(time.nanos) / 1e9
}
