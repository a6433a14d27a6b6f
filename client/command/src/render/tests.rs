use prost_types::Timestamp;

use super::*;
use windrow_client::proto::{self, ScrapingJobStatus};

const NOW: i64 = 1_700_000_100;

fn layout(width: usize) -> Layout {
    Layout::fixed(Some(width), NOW)
}

fn run_with(status: ScrapingJobStatus) -> proto::ScrapingJob {
    proto::ScrapingJob {
        job_id: "triggered_sample_sold_daily_1700000000_0123456789ab".into(),
        status: status.into(),
        origin: proto::ScrapingJobOrigin::Triggered.into(),
        priority: proto::ScrapingJobPriority::Immediate.into(),
        created_at: Some(Timestamp { seconds: NOW - 100, nanos: 999 }),
        started_at: Some(Timestamp { seconds: NOW - 90, nanos: 0 }),
        completed_at: Some(Timestamp { seconds: NOW - 25, nanos: 0 }),
        properties_scraped: 210,
        properties_saved: 200,
        properties_skipped: 7,
        properties_duplicate: 3,
        total_locations: 70,
        completed_locations: 3,
        failed_location_count: 2,
        error_message: "the source is down".into(),
        ..Default::default()
    }
}

fn sample_job() -> proto::ScheduledJob {
    proto::ScheduledJob {
        scheduled_job_id: "sample_sold_daily".into(),
        name: "Sample: sold listings, every day".into(),
        status: proto::ScheduledJobStatus::Active.into(),
        cron_expression: "30 6 * * *".into(),
        timezone: "America/Indiana/Indianapolis".into(),
        next_run_at: Some(Timestamp { seconds: NOW + 7_200, nanos: 0 }),
        last_run_at: Some(Timestamp { seconds: NOW - 7_200, nanos: 0 }),
        last_run_status: ScrapingJobStatus::Completed.into(),
        parameters: Some(proto::ScrapeParameters {
            source: Some("sample".into()),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn page(shown: usize, total: i64) -> PageCount {
    PageCount { shown, total, is_lower_bound: false }
}

fn assert_fits(text: &str, width: usize) {
    for line in text.lines() {
        assert!(console::measure_text_width(line) <= width, "{width}: {line}");
    }
}

#[test]
fn every_status_has_its_line() {
    let check = |status, expected: &str| {
        assert_eq!(progress(&layout(80), &run_with(status)), expected);
    };
    check(ScrapingJobStatus::Pending, "pending since 2023-11-14T22:13:20Z");
    check(ScrapingJobStatus::Running, "running 3/70 locations, 2 failed, 210 scraped");
    check(
        ScrapingJobStatus::Completed,
        "completed: 210 scraped, 200 saved, 7 unchanged, 3 duplicates, 2 failed locations",
    );
    check(ScrapingJobStatus::Failed, "failed: the source is down");
}

#[test]
fn an_attempt_whose_worker_stopped_has_not_failed_and_does_not_count() {
    let policy = proto::RunPolicy { max_attempts: Some(3), ..Default::default() };
    let waiting = |attempt, released, error: &str| proto::ScrapingJob {
        attempt,
        max_attempts: 3 + released,
        policy: Some(policy),
        error_message: error.to_owned(),
        ..run_with(ScrapingJobStatus::Pending)
    };
    let check = |run: proto::ScrapingJob, line: &str, detail: &str| {
        assert_eq!(progress(&layout(80), &run), line);
        let shown = super::run(&Layout::fixed(None, NOW), Some(&run));
        assert!(shown.lines().any(|line| line.ends_with(&format!(" {detail}"))), "{shown}");
    };
    check(waiting(1, 0, "no"), "pending, attempt 1 of 3 failed: no", "1 of 3");
    check(
        waiting(1, 1, ""),
        "pending: the worker of attempt 1 stopped, and another attempt follows",
        "1 of 4, 1 of which does not count: its worker stopped",
    );
    check(
        waiting(3, 2, "no"),
        "pending, attempt 1 of 3 failed: no",
        "3 of 5, 2 of which do not count: their workers stopped",
    );
}

#[test]
fn lists_fit_the_terminal_and_keep_ids_and_failures() {
    let waiting = proto::ScrapingJob {
        pending_reason: Some(proto::PendingReason {
            message: "a worker for source 'mls': none is connected".into(),
            ..Default::default()
        }),
        ..run_with(ScrapingJobStatus::Pending)
    };
    let both = [waiting, run_with(ScrapingJobStatus::Completed)];
    for width in [80, 100, 120, 200] {
        let shown = runs(&layout(width), &both, &page(2, 310));
        assert_fits(&shown, width);
        assert_eq!(shown.matches(&both[0].job_id).count(), 2, "{shown}");
        assert!(shown.lines().next().unwrap().contains("FAILED"), "{shown}");

        let shown = jobs(&layout(width), &[sample_job()], &page(1, 1));
        assert_fits(&shown, width);
        for needed in ["sample_sold_daily", "LAST", "TIME ZONE", "Indiana/Indianapolis"] {
            assert!(shown.contains(needed), "{needed} is missing in {shown}");
        }

        assert_fits(&live(&layout(width), both.iter()), width);
    }
    let everything = runs(&Layout::fixed(None, NOW), &both, &page(2, 310));
    assert!(everything.contains("a worker for source 'mls': none is connected"), "{everything}");
    assert!(everything.ends_with("2 runs, 308 more; --all shows everything"), "{everything}");
}

#[test]
fn details_fit_the_terminal() {
    let locations = (46_201..46_299).map(|zip| zip.to_string()).collect();
    let parameters = Some(proto::ScrapeParameters { locations, ..Default::default() });
    let job = proto::ScheduledJob { parameters: parameters.clone(), ..sample_job() };
    let run_with_many = proto::ScrapingJob { parameters, ..run_with(ScrapingJobStatus::Completed) };

    assert_fits(&changed_job(&layout(80), "Created scheduled job x", &job), 80);
    let shown = run(&layout(80), Some(&run_with_many));
    assert_fits(&shown.replace(&run_with_many.job_id, "run"), 80);
}

#[test]
fn sample_data_is_marked_everywhere() {
    let sampled = proto::ScrapingJob {
        parameters: sample_job().parameters,
        ..run_with(ScrapingJobStatus::Running)
    };
    let layout = layout(80);
    for shown in [
        run(&layout, Some(&sampled)),
        runs(&layout, std::slice::from_ref(&sampled), &page(1, 1)),
        run_id_lines("Triggered", &sampled, false),
        changed_job(&layout, "Created", &sample_job()),
        jobs(&layout, &[sample_job()], &page(1, 1)),
    ] {
        assert!(shown.contains("sample data"), "{shown}");
    }
}

#[test]
fn a_job_with_invalid_settings_stands_out() {
    let job = proto::ScheduledJob { problem: "timezone: unknown".to_owned(), ..sample_job() };
    let shown = jobs(&layout(80), &[job, sample_job()], &page(2, 2));
    assert_eq!(shown.matches("invalid, active").count(), 1, "{shown}");
}

#[test]
fn empty_lists_name_the_next_command() {
    let layout = layout(80);
    let lists = [
        jobs(&layout, &[], &page(0, 0)),
        runs(&layout, &[], &page(0, 0)),
        properties(&layout, &[], &page(0, 0)),
        decided_ticks(&layout, &[], false),
    ];
    for list in lists {
        assert!(list.starts_with("No ") && list.contains("windrow "), "{list}");
    }
}
