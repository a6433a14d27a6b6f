//! Bad input is rejected with code and field path, and changes nothing.

use prost_types::FieldMask;
use windrow_client::{Code, Error, proto};

use crate::support::{Windrow, job, parameters};

fn assert_refused(refused: Result<impl std::fmt::Debug, Error>, field: &str) {
    let error = refused.expect_err(field);
    assert_eq!(error.code(), Code::InvalidArgument, "{error}");
    let fields: Vec<_> = error.field_violations().iter().map(|v| v.field.as_str()).collect();
    assert_eq!(fields, [field], "{error}");
}

#[tokio::test]
async fn an_invalid_scheduled_job_is_not_created() {
    let windrow = Windrow::start().await;
    let check = async |field: &str, change: fn(&mut proto::ScheduledJob)| {
        let mut wrong = job("wrong");
        change(&mut wrong);
        assert_refused(windrow.create_as(wrong).await, &format!("scheduled_job.{field}"));
    };

    check("scheduled_job_id", |j| j.scheduled_job_id = "Not an id".to_owned()).await;
    check("scheduled_job_id", |j| j.scheduled_job_id = "triggered_x".to_owned()).await;
    check("name", |j| j.name.clear()).await;
    check("name", |j| j.name = "x".repeat(201)).await;
    check("timezone", |j| j.timezone = "Mars/Olympus".to_owned()).await;
    check("cron_expression", |j| j.cron_expression.clear()).await;
    check("cron_expression", |j| j.cron_expression = "61 * * * *".to_owned()).await;
    check("cron_expression", |j| j.cron_expression = "0 0 30 2 *".to_owned()).await;
    check("cron_expression", |j| j.cron_expression = "0 0 * *".to_owned()).await;
    check("cron_expression", |j| j.cron_expression = "0 ".repeat(9_999)).await;
    check("priority", |j| j.priority = 77).await;
    check("overlap", |j| j.overlap = 9).await;
    check("catch_up.mode", |j| late(j).mode = 9).await;
    check("catch_up.limit", |j| late(j).limit = Some(0)).await;
    check("catch_up.limit", |j| late(j).limit = Some(1_001)).await;
    check("catch_up.window", |j| late(j).window = Some(hours(367 * 24))).await;
    check("catch_up.grace", |j| late(j).grace = Some(hours(25))).await;
    check("jitter", |j| j.jitter = Some(hours(-1))).await;
    check("jitter", |j| j.jitter = Some(hours(25))).await;
    check("parameters.locations", |j| of(j).locations.clear()).await;
    check("parameters.locations[0]", |j| of(j).locations = vec!["x".repeat(201)]).await;
    check("parameters.listing_types[0]", |j| of(j).listing_types = vec![0]).await;
    check("parameters.past_days", |j| of(j).past_days = Some(0)).await;
    check("parameters.radius", |j| of(j).radius = Some(-1.0)).await;
    check("parameters.limit", |j| of(j).limit = Some(10_001)).await;
    check("parameters.source", |j| of(j).source = Some("nope".to_owned())).await;
    check("parameters.source", |j| of(j).source = None).await;

    assert_eq!(windrow.client.list_jobs().show_deleted().await.unwrap().total, 0);
    windrow.stop().await;
}

fn late(job: &mut proto::ScheduledJob) -> &mut proto::CatchUpPolicy {
    job.catch_up.get_or_insert_default()
}

fn hours(hours: i64) -> prost_types::Duration {
    prost_types::Duration { seconds: hours * 3_600, nanos: 0 }
}

fn of(job: &mut proto::ScheduledJob) -> &mut proto::ScrapeParameters {
    job.parameters.get_or_insert_default()
}

#[tokio::test]
async fn all_invalid_fields_are_reported_at_once() {
    let windrow = Windrow::start().await;
    let mut wrong = job("wrong");
    wrong.name.clear();
    wrong.cron_expression = "61 * * * *".to_owned();
    of(&mut wrong).past_days = Some(0);

    let refused = windrow.create_as(wrong).await.unwrap_err();

    let fields: Vec<_> = refused.field_violations().iter().map(|v| v.field.as_str()).collect();
    let expected = ["name", "cron_expression", "parameters.past_days"];
    assert_eq!(fields, expected.map(|field| format!("scheduled_job.{field}")));
    windrow.stop().await;
}

#[tokio::test]
async fn an_invalid_update_changes_nothing() {
    let windrow = Windrow::start().await;
    let before = windrow.create("job").await;
    let update = async |change: proto::ScheduledJob, paths: &[&str]| {
        let paths = paths.iter().map(ToString::to_string).collect();
        let request = proto::UpdateScheduledJobRequest {
            scheduled_job: Some(change),
            update_mask: Some(FieldMask { paths }),
            validate_only: false,
        };
        windrow.client.raw().update_scheduled_job(request).await
    };
    let renamed = || proto::ScheduledJob { name: "New".to_owned(), ..job("job") };

    assert_refused(update(renamed(), &["name", "run_count"]).await, "update_mask");
    let nowhere = proto::ScheduledJob { timezone: "Nowhere".to_owned(), ..renamed() };
    assert_refused(update(nowhere, &["*"]).await, "scheduled_job.timezone");
    let stale = proto::ScheduledJob { etag: "v77".to_owned(), ..renamed() };
    let refused = update(stale, &["name"]).await.unwrap_err();
    assert_eq!((refused.code(), refused.reason()), (Code::Aborted, Some("ETAG_MISMATCH")));
    let unknown = proto::ScheduledJob { scheduled_job_id: "nope".to_owned(), ..renamed() };
    let refused = update(unknown, &["name"]).await.unwrap_err();
    assert_eq!(
        (refused.code(), refused.reason()),
        (Code::NotFound, Some("SCHEDULED_JOB_NOT_FOUND"))
    );

    assert_eq!(windrow.get_job("job").await, before);
    windrow.stop().await;
}

#[tokio::test]
async fn an_update_changes_only_the_fields_of_its_mask() {
    let windrow = Windrow::start().await;
    let before = windrow.create("job").await;
    let change = proto::ScheduledJob {
        name: "New".to_owned(),
        cron_expression: "* * * * *".to_owned(),
        etag: before.etag.clone(),
        ..job("job")
    };
    let request = proto::UpdateScheduledJobRequest {
        scheduled_job: Some(change),
        update_mask: Some(FieldMask { paths: vec!["name".to_owned()] }),
        validate_only: false,
    };

    let answer = windrow.client.raw().update_scheduled_job(request).await.unwrap();

    let after = answer.scheduled_job.unwrap();
    assert_ne!(after.etag, before.etag);
    let expected = proto::ScheduledJob {
        name: "New".to_owned(),
        etag: after.etag.clone(),
        updated_at: after.updated_at,
        ..before
    };
    assert_eq!(after, expected);
    windrow.stop().await;
}

#[tokio::test]
async fn invalid_pages_and_ids_are_rejected() {
    let windrow = Windrow::start().await;
    let client = &windrow.client;
    windrow.create("a").await;
    windrow.create("b").await;
    let jobs = |page_size, page_token: &str| proto::ListScheduledJobsRequest {
        page_size,
        page_token: page_token.to_owned(),
        ..Default::default()
    };
    let first = client.raw().list_scheduled_jobs(jobs(1, "")).await.unwrap();
    let second = client.raw().list_scheduled_jobs(jobs(1, &first.next_page_token)).await.unwrap();
    assert_eq!((first.total, second.total), (2, 2));
    assert_eq!(second.scheduled_jobs[0].scheduled_job_id, "b");
    assert_eq!(second.next_page_token, "");

    assert_refused(client.raw().list_scheduled_jobs(jobs(-1, "")).await, "page_size");
    assert_refused(client.raw().list_scheduled_jobs(jobs(1, "zz")).await, "page_token");
    let foreign = proto::ListScrapingJobsRequest {
        page_token: first.next_page_token.clone(),
        ..Default::default()
    };
    assert_refused(client.raw().list_scraping_jobs(foreign).await, "page_token");
    let other_filter =
        proto::ListScheduledJobsRequest { show_deleted: true, ..jobs(1, &first.next_page_token) };
    assert_refused(client.raw().list_scheduled_jobs(other_filter).await, "page_token");
    let negative = proto::GetScheduledJobRequest {
        scheduled_job_id: "a".to_owned(),
        limit: -1,
        include_runs: None,
    };
    assert_refused(client.raw().get_scheduled_job(negative).await, "limit");
    assert_refused(client.get_job("no id").await, "scheduled_job_id");
    assert_refused(client.get_run("no id").await, "job_id");
    windrow.stop().await;
}

#[tokio::test]
async fn invalid_triggers_and_submissions_create_no_run() {
    let windrow = Windrow::start().await;
    windrow.create("job").await;
    let trigger = |overrides| proto::TriggerJobRequest {
        job_id: "job".to_owned(),
        overrides: Some(overrides),
        ..Default::default()
    };
    let too_old = proto::ScrapeParameters { past_days: Some(0), ..Default::default() };
    assert_refused(windrow.trigger_as(trigger(too_old)).await, "overrides.past_days");
    let no_source =
        proto::ScrapeParameters { source: Some("nope".to_owned()), ..Default::default() };
    assert_refused(windrow.trigger_as(trigger(no_source)).await, "overrides.source");
    let empty = proto::TriggerJobRequest::default();
    assert_refused(windrow.trigger_as(empty).await, "job_id");
    let long_id = proto::TriggerJobRequest {
        request_id: "x".repeat(65),
        ..trigger(proto::ScrapeParameters::default())
    };
    assert_refused(windrow.trigger_as(long_id).await, "request_id");
    let nothing = proto::ScrapeParameters { locations: vec![], ..parameters("quick") };
    assert_refused(windrow.client.submit_run(nothing).await, "parameters.locations");

    assert_eq!(windrow.client.list_runs().await.unwrap().total, 0);
    windrow.stop().await;
}

#[tokio::test]
async fn a_request_id_belongs_to_one_request() {
    let windrow = Windrow::start().await;
    windrow.create("job").await;
    let request = |priority: proto::ScrapingJobPriority| proto::TriggerJobRequest {
        job_id: "job".to_owned(),
        priority: priority.into(),
        request_id: "7f2c".to_owned(),
        ..Default::default()
    };
    let high = proto::ScrapingJobPriority::High;
    let first = windrow.trigger_as(request(high)).await.unwrap();
    let ended = windrow.end(&first.job_id).await;

    let repeated = windrow.trigger_as(request(high)).await.unwrap();
    let reused = windrow.trigger_as(request(proto::ScrapingJobPriority::Low)).await.unwrap_err();

    assert_eq!(repeated.job_id, first.job_id);
    assert_eq!(repeated.message, first.message);
    assert_eq!(repeated.scraping_job.unwrap(), ended, "the run as it is now");
    assert_eq!((reused.code(), reused.reason()), (Code::AlreadyExists, Some("REQUEST_ID_REUSED")));
    assert_eq!(windrow.get("job").await.total_runs, 1);
    windrow.stop().await;
}

#[tokio::test]
async fn ten_calls_with_one_request_id_create_one_run() {
    let windrow = Windrow::start().await;
    windrow.create("job").await;
    let request = proto::TriggerJobRequest {
        job_id: "job".to_owned(),
        request_id: "7f2c".to_owned(),
        ..Default::default()
    };

    let calls = (0..10).map(|_| windrow.trigger_as(request.clone()));
    let answers = futures::future::try_join_all(calls).await.unwrap();

    assert!(answers.iter().all(|answer| answer.job_id == answers[0].job_id));
    assert_eq!(windrow.get("job").await.total_runs, 1);
    windrow.stop().await;
}

#[tokio::test]
async fn a_call_with_validate_only_writes_nothing() {
    let windrow = Windrow::start().await;
    windrow.create("job").await;
    let check = proto::TriggerJobRequest {
        job_id: "job".to_owned(),
        validate_only: true,
        ..Default::default()
    };

    let answer = windrow.trigger_as(check).await.unwrap();

    assert_eq!(answer.job_id, "");
    assert_eq!(answer.scraping_job.unwrap().scheduled_job_id, "job");
    assert_eq!(windrow.get("job").await.total_runs, 0);
    windrow.stop().await;
}
