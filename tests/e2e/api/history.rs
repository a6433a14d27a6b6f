//! The history is exact for every way a run can end.

use windrow_client::proto;

use crate::support::{SLOW, Windrow, job, parameters, source_of, wait_for};
use proto::ScrapingJobStatus as Status;

#[tokio::test]
async fn ten_runs_that_end_at_once_add_exactly_ten() {
    let windrow = Windrow::start_with(|config| config.max_concurrent_runs = 10).await;
    windrow.create("job").await;

    let runs = futures::future::join_all((0..10).map(|_| windrow.trigger("job"))).await;
    futures::future::join_all(runs.iter().map(|run| windrow.end(&run.job_id))).await;

    let detail = windrow.get("job").await;
    let job = detail.scheduled_job.unwrap();
    assert_eq!((job.run_count, detail.total_runs), (10, 10));
    let last = detail.job_runs.iter().max_by_key(|run| {
        let end = run.completed_at.unwrap();
        (end.seconds, end.nanos, job.last_run_job_id == run.job_id)
    });
    assert_eq!(job.last_run_job_id, last.unwrap().job_id);
    windrow.stop().await;
}

#[tokio::test]
async fn a_cancelled_pending_run_and_a_failed_run_count() {
    let windrow = Windrow::start_with(|config| config.max_concurrent_runs = 1).await;
    let broken = proto::ScrapeParameters { source: Some(SLOW.to_owned()), ..parameters(SLOW) };
    windrow
        .create_as(proto::ScheduledJob { parameters: Some(broken), ..job("job") })
        .await
        .unwrap();
    let first = windrow.trigger("job").await.job_id;
    wait_for(&mut windrow.client.watch(&first).states(), Status::Running).await;
    let second = windrow.trigger("job").await.job_id;
    assert_eq!(windrow.get("job").await.total_runs, 2, "active runs are in the total");

    let cancelled = windrow.cancel(&second).await.unwrap();

    assert_eq!(cancelled.status(), Status::Cancelled);
    assert_eq!(cancelled.started_at, None);
    let job = windrow.get_job("job").await;
    assert_eq!(job.run_count, 1);
    assert_eq!(job.last_run_status(), Status::Cancelled);
    assert_eq!(job.last_run_at, cancelled.completed_at, "it never started");
    windrow.cancel(&first).await.unwrap();
    windrow.end(&first).await;
    assert_eq!(windrow.get_job("job").await.run_count, 2);
    windrow.stop().await;
}

#[tokio::test]
async fn a_run_whose_locations_all_fail_is_retried_and_counts_once() {
    let windrow = Windrow::start_with(|config| {
        let settings = source_of("kind = \"exec\"\ncommand = [\"false\"]");
        config.sources.insert("failing".to_owned(), settings);
    })
    .await;
    let failing = proto::ScheduledJob { parameters: Some(parameters("failing")), ..job("job") };
    windrow.create_as(failing).await.unwrap();

    let run = windrow.end(&windrow.trigger("job").await.job_id).await;

    assert_eq!(run.status(), Status::Failed);
    assert_eq!((run.attempt, run.max_attempts), (3, 3));
    assert!(run.error_message.contains("Indianapolis, IN"), "{}", run.error_message);
    let job = windrow.get_job("job").await;
    assert_eq!((job.run_count, job.last_run_status()), (1, Status::Failed));
    windrow.stop().await;
}

#[tokio::test]
async fn runs_are_listed_newest_first_in_pages() {
    let windrow = Windrow::start().await;
    windrow.create("job").await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(windrow.trigger("job").await.job_id);
    }
    made.reverse();
    let mut list = windrow.client.list_runs().job("job").page_size(2);

    let mut listed = Vec::new();
    loop {
        let page = list.clone().await.unwrap();
        assert_eq!((page.total, page.total_is_lower_bound), (5, false));
        listed.extend(page.scraping_jobs.into_iter().map(|run| run.job_id));
        if page.next_page_token.is_empty() {
            break;
        }
        list = list.page_token(page.next_page_token);
    }

    assert_eq!(listed, made);
    windrow.stop().await;
}

#[tokio::test]
async fn a_second_run_finds_everything_unchanged() {
    let windrow = Windrow::start().await;
    windrow.create("job").await;
    windrow.end(&windrow.trigger("job").await.job_id).await;

    let run = windrow.end(&windrow.trigger("job").await.job_id).await;

    let counts = (run.properties_scraped, run.properties_saved, run.properties_skipped);
    assert_eq!(counts, (5, 0, 5));
    windrow.stop().await;
}
