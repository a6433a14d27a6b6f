//! Statistics of the runs of a job.

use windrow_client::{Code, Error, proto};

use crate::support::{QUICK, SLOW, Windrow, job, parameters, source_of, wait_for};
use proto::ScrapingJobStatus as Status;

async fn stats(
    windrow: &Windrow,
    id: &str,
    seconds: Option<i64>,
) -> Result<proto::GetScheduledJobStatsResponse, Error> {
    let request = proto::GetScheduledJobStatsRequest {
        scheduled_job_id: id.to_owned(),
        window: seconds.map(|seconds| prost_types::Duration { seconds, nanos: 0 }),
    };
    windrow.client.raw().get_scheduled_job_stats(request).await
}

/// A run of `job` from another source.
async fn trigger(windrow: &Windrow, source: &str) -> String {
    let overrides =
        proto::ScrapeParameters { source: Some(source.to_owned()), ..Default::default() };
    let request = proto::TriggerJobRequest {
        job_id: "job".to_owned(),
        overrides: Some(overrides),
        ..Default::default()
    };
    windrow.trigger_as(request).await.unwrap().job_id
}

#[tokio::test]
async fn runs_are_counted_by_final_status() {
    let windrow = Windrow::start_with(|config| {
        let settings = source_of("kind = \"exec\"\ncommand = [\"false\"]");
        config.sources.insert("failing".to_owned(), settings);
    })
    .await;
    windrow.create("job").await;
    for source in [QUICK, QUICK, "failing"] {
        windrow.end(&trigger(&windrow, source).await).await;
    }
    let cancelled = trigger(&windrow, SLOW).await;
    windrow.cancel(&cancelled).await.unwrap();
    windrow.end(&cancelled).await;
    let active = trigger(&windrow, SLOW).await;
    wait_for(&mut windrow.client.watch(&active).states(), Status::Running).await;

    let stats = stats(&windrow, "job", None).await.unwrap();

    let counts = [stats.completed_runs, stats.failed_runs, stats.cancelled_runs, stats.active_runs];
    assert_eq!(counts, [2, 1, 1, 1]);
    assert_eq!(stats.success_rate, Some(2.0 / 3.0));
    let detail = windrow.get("job").await;
    assert_eq!(detail.scheduled_job.unwrap().run_count, counts[..3].iter().sum::<i64>());
    let sum = |of: fn(&proto::ScrapingJob) -> i64| {
        detail.job_runs.iter().filter(|run| run.completed_at.is_some()).map(of).sum::<i64>()
    };
    assert_eq!(stats.properties_scraped, sum(|run| run.properties_scraped));
    assert_eq!(stats.properties_saved, sum(|run| run.properties_saved));
    let completed = |run: &&proto::ScrapingJob| run.status() == Status::Completed;
    let last = detail.job_runs.iter().find(completed).unwrap();
    assert_eq!(stats.last_success_at, last.completed_at);
    assert!(stats.p50_duration.is_some() && stats.p95_duration.is_some());
    windrow.stop().await;
}

#[tokio::test]
async fn a_job_without_runs_has_no_rate_and_no_durations() {
    let windrow = Windrow::start().await;
    windrow
        .create_as(proto::ScheduledJob { parameters: Some(parameters(QUICK)), ..job("job") })
        .await
        .unwrap();

    let stats = stats(&windrow, "job", Some(3_600)).await.unwrap();

    let window_start = stats.window_start;
    assert!(window_start.is_some());
    let nothing = proto::GetScheduledJobStatsResponse { window_start, ..Default::default() };
    assert_eq!(stats, nothing);
    windrow.stop().await;
}

#[tokio::test]
async fn an_invalid_window_or_an_unknown_job_is_rejected() {
    let windrow = Windrow::start().await;
    windrow.create("job").await;
    for seconds in [0, -1, 367 * 86_400] {
        let refused = stats(&windrow, "job", Some(seconds)).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert_eq!(refused.field_violations()[0].field, "window", "{refused}");
    }
    let unknown = stats(&windrow, "nope", None).await.unwrap_err();
    assert_eq!(
        (unknown.code(), unknown.reason()),
        (Code::NotFound, Some("SCHEDULED_JOB_NOT_FOUND"))
    );
    windrow.stop().await;
}
