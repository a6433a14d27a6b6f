use prost_types::Timestamp;

use super::*;

fn run_in(status: proto::ScrapingJobStatus) -> proto::ScrapingJob {
    proto::ScrapingJob {
        job_id: "run".into(),
        status: status.into(),
        created_at: Some(Timestamp { seconds: 1_700_000_000, nanos: 999 }),
        started_at: Some(Timestamp { seconds: 1_700_000_010, nanos: 0 }),
        completed_at: Some(Timestamp { seconds: 1_700_000_075, nanos: 0 }),
        properties_scraped: 210,
        properties_saved: 200,
        properties_skipped: 7,
        properties_duplicate: 3,
        total_locations: 70,
        completed_locations: 3,
        error_message: "The source broke.".into(),
        ..Default::default()
    }
}

#[test]
fn each_state_has_its_line() {
    let check = |status, expected: &str| assert_eq!(progress(&run_in(status)), expected);
    check(proto::ScrapingJobStatus::Pending, "2023-11-14T22:13:20Z pending");
    check(proto::ScrapingJobStatus::Running, "running 3/70 locations, 210 scraped");
    check(
        proto::ScrapingJobStatus::Completed,
        "completed: scraped 210, saved 200, unchanged 7, duplicates 3, 0 failed locations",
    );
    check(proto::ScrapingJobStatus::Failed, "failed: The source broke.");
}

#[test]
fn sample_data_is_called_so_everywhere() {
    let parameters =
        proto::ScrapeParameters { source: Some("sample".into()), ..Default::default() };
    let sampled = proto::ScrapingJob {
        parameters: Some(parameters.clone()),
        ..run_in(proto::ScrapingJobStatus::Running)
    };
    let scheduled = proto::ScheduledJob { parameters: Some(parameters), ..Default::default() };
    let page = proto::ListScheduledJobsResponse {
        scheduled_jobs: vec![scheduled.clone()],
        ..Default::default()
    };
    for shown in [
        progress(&sampled),
        run(Some(&sampled)),
        runs_table(&[sampled]),
        job(Some(&scheduled)),
        jobs(&page),
    ] {
        assert!(shown.contains("sample data"), "{shown}");
    }
}

#[test]
fn a_run_is_a_row() {
    let shown = runs_table(&[run_in(proto::ScrapingJobStatus::Completed)]);
    let row: Vec<&str> = shown.lines().last().unwrap().split("  ").map(str::trim).collect();
    assert_eq!(row.first(), Some(&"run"));
    assert!(row.contains(&"1m 5s"), "{shown}");
    assert_eq!(row.last(), Some(&"200"));
}

#[test]
fn what_runs_wait_for_is_a_column_where_some_do() {
    let ended = run_in(proto::ScrapingJobStatus::Completed);
    assert!(!runs_table(std::slice::from_ref(&ended)).contains("WAITS FOR"));
    let wait = proto::PendingReason { message: "its turn".into(), ..Default::default() };
    let waiting = proto::ScrapingJob {
        pending_reason: Some(wait),
        ..run_in(proto::ScrapingJobStatus::Pending)
    };
    let shown = runs_table(&[waiting, ended]);
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[0].ends_with("WAITS FOR") && lines[1].ends_with("its turn"), "{shown}");
}

#[test]
fn a_job_whose_ticks_cannot_be_decided_stands_out() {
    let job = proto::ScheduledJob { problem: "timezone: unknown".to_owned(), ..Default::default() };
    let sound = proto::ScheduledJob::default();
    let answer =
        proto::ListScheduledJobsResponse { scheduled_jobs: vec![job, sound], ..Default::default() };
    let shown = jobs(&answer);
    assert_eq!(shown.matches("problem, ").count(), 1, "{shown}");
}
