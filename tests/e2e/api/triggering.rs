//! Triggers, and the runs that they create.

use windrow_client::{Code, proto};

use crate::support::{Windrow, job, statuses};
use proto::ScrapingJobStatus as Status;

const ID: &str = "sold_daily_indy";
const NAME: &str = "Daily Sold Properties - Indianapolis";

async fn windrow_with_job() -> Windrow {
    let windrow = Windrow::start().await;
    let job = proto::ScheduledJob {
        name: NAME.to_owned(),
        cron_expression: "0 2 * * *".to_owned(),
        ..job(ID)
    };
    windrow.create_as(job).await.unwrap();
    windrow
}

/// Whether `id` is `{prefix}_{unix seconds}_{12 hex digits}`.
fn is_run_id(id: &str, prefix: &str) -> bool {
    let rest = id.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_'));
    let Some((seconds, random)) = rest.and_then(|rest| rest.split_once('_')) else { return false };
    seconds.len() == 10
        && seconds.bytes().all(|b| b.is_ascii_digit())
        && random.len() == 12
        && random.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[tokio::test]
async fn a_trigger_returns_the_pending_run_and_links_it() {
    let windrow = windrow_with_job().await;

    let answer = windrow.trigger(ID).await;

    assert!(is_run_id(&answer.job_id, &format!("triggered_{ID}")), "{}", answer.job_id);
    assert_eq!(answer.status(), Status::Pending);
    assert_eq!(answer.message, format!("Triggered scheduled job '{NAME}' to run immediately"));
    let run = answer.scraping_job.unwrap();
    assert_eq!(run.scheduled_job_id, ID);
    assert_eq!(run.priority(), proto::ScrapingJobPriority::Immediate);
    assert_eq!(run.origin(), proto::ScrapingJobOrigin::Triggered);
    assert_eq!(answer.created_at, run.created_at);
    let story = windrow.story(&run.job_id).await;
    assert_eq!(statuses(&story), [Status::Pending, Status::Running, Status::Completed]);
    windrow.stop().await;
}

#[tokio::test]
async fn an_ended_run_is_in_the_history_and_leaves_the_schedule_alone() {
    let windrow = windrow_with_job().await;
    let before = windrow.get_job(ID).await;
    assert_eq!((before.run_count, before.last_run_at), (0, None));

    let run = windrow.end(&windrow.trigger(ID).await.job_id).await;

    let detail = windrow.get(ID).await;
    let job = detail.scheduled_job.unwrap();
    assert_eq!(job.run_count, 1);
    assert_eq!(job.last_run_at, run.started_at);
    assert_eq!(job.last_run_status(), Status::Completed);
    assert_eq!(job.last_run_job_id, run.job_id);
    assert!(job.next_run_at.is_some());
    assert_eq!(job.next_run_at, before.next_run_at);
    assert_eq!(job.etag, before.etag);
    assert_eq!(detail.total_runs, 1);
    assert_eq!(detail.job_runs, std::slice::from_ref(&run));
    assert_eq!((run.properties_scraped, run.properties_saved), (5, 5));
    windrow.stop().await;
}

#[tokio::test]
async fn scheduled_and_triggered_runs_are_listed_together_and_both_count() {
    let windrow = Windrow::start().await;
    let every_second = proto::ScheduledJob { cron_expression: "@every 1s".to_owned(), ..job(ID) };
    windrow.create_as(every_second).await.unwrap();
    let triggered = windrow.end(&windrow.trigger(ID).await.job_id).await;
    let scheduled = loop {
        let runs = windrow.get(ID).await.job_runs;
        if let Some(run) = runs.into_iter().find(|run| run.tick_at.is_some()) {
            break windrow.end(&run.job_id).await;
        }
        tokio::task::yield_now().await;
    };
    windrow.client.deactivate_job(ID).await.unwrap();
    for run in windrow.get(ID).await.job_runs {
        windrow.end(&run.job_id).await;
    }

    let detail = windrow.get(ID).await;

    assert!(is_run_id(&scheduled.job_id, &format!("scheduled_{ID}")), "{}", scheduled.job_id);
    assert_eq!(scheduled.origin(), proto::ScrapingJobOrigin::Scheduled);
    assert_eq!(scheduled.priority(), proto::ScrapingJobPriority::Normal);
    for run in [&triggered, &scheduled] {
        assert!(detail.job_runs.contains(run), "{} is missing", run.job_id);
        assert_eq!(run.scheduled_job_id, ID);
    }
    let runs = i64::try_from(detail.job_runs.len()).unwrap();
    assert_eq!((detail.scheduled_job.unwrap().run_count, detail.total_runs), (runs, runs));
    windrow.stop().await;
}

#[tokio::test]
async fn scheduled_jobs_are_listed_by_status() {
    let windrow = windrow_with_job().await;
    windrow.create("paused").await;
    windrow.client.pause_job("paused").reason("roof repairs").await.unwrap();
    let list = async |status: proto::ScheduledJobStatus| {
        let answer = windrow.client.list_jobs().status(status).await.unwrap();
        let ids: Vec<_> =
            answer.scheduled_jobs.into_iter().map(|job| job.scheduled_job_id).collect();
        assert_eq!(answer.total, i64::try_from(ids.len()).unwrap());
        ids
    };

    assert_eq!(list(proto::ScheduledJobStatus::Unspecified).await, ["paused", ID]);
    assert_eq!(list(proto::ScheduledJobStatus::Active).await, [ID]);
    assert_eq!(list(proto::ScheduledJobStatus::Paused).await, ["paused"]);
    assert_eq!(list(proto::ScheduledJobStatus::Inactive).await, [""; 0]);
    windrow.stop().await;
}

#[tokio::test]
async fn triggering_a_run_id_creates_a_run_of_the_same_job() {
    let windrow = windrow_with_job().await;
    let original = windrow.end(&windrow.trigger(ID).await.job_id).await;

    let answer = windrow.trigger(&original.job_id).await;

    assert!(is_run_id(&answer.job_id, "immediate"), "{}", answer.job_id);
    let message = format!("Triggered existing job {} to run immediately", original.job_id);
    assert_eq!(answer.message, message);
    let run = windrow.end(&answer.job_id).await;
    assert_eq!(run.original_job_id, original.job_id);
    assert_eq!(run.scheduled_job_id, ID);
    assert_eq!(run.parameters, original.parameters);
    let detail = windrow.get(ID).await;
    assert_eq!((detail.scheduled_job.unwrap().run_count, detail.total_runs), (2, 2));
    windrow.stop().await;
}

#[tokio::test]
async fn an_unknown_id_is_not_found() {
    let windrow = windrow_with_job().await;
    let request = proto::TriggerJobRequest { job_id: "nope".to_owned(), ..Default::default() };

    let refused = windrow.trigger_as(request).await.unwrap_err();

    assert_eq!(refused.code(), Code::NotFound);
    assert_eq!(refused.reason(), Some("JOB_NOT_FOUND"));
    assert_eq!(refused.to_string(), "Job not found: nope");
    windrow.stop().await;
}
