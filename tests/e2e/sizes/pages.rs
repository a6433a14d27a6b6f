//! Lists, exports and leases reach everything with clients that accept messages of 4 MiB.

use proto::property_service_client::PropertyServiceClient;
use proto::scheduled_job_service_client::ScheduledJobServiceClient;
use proto::scraping_job_service_client::ScrapingJobServiceClient;
use proto::worker_service_client::WorkerServiceClient;
use sqlx::PgPool;
use windrow_client::proto;
use windrow_server::sources::{SourceSettings, WorkerSettings};

use super::{channel, large_parameters};
use crate::support::{Windrow, job};

const SOURCE: &str = "worked";

async fn start() -> Windrow {
    Windrow::start_with(|config| {
        let settings = SourceSettings::Worker(WorkerSettings::default());
        config.sources.insert(SOURCE.to_owned(), settings);
    })
    .await
}

fn large() -> proto::PropertyFilter {
    proto::PropertyFilter { source: "large".to_owned(), ..Default::default() }
}

/// Stores properties of half a megabyte, and a change of the first one for each of them.
async fn store_properties(windrow: &Windrow, count: i32) {
    let pool = PgPool::connect(&windrow.database_url).await.unwrap();
    sqlx::query(
        "insert into property (
            source, property_id, content_hash, body, location, listing_type, first_seen_at,
            first_job_id, last_seen_at, last_job_id, changed_at, change_count
        )
        select
            'large', to_char(n, 'FM0000'), '', jsonb_build_object('text', repeat('x', 500000)), '', '',
            now(), 'run', now(), 'run', now(), case when n = 1 then $1 else 0 end
        from generate_series(1, $1) n",
    )
    .bind(count)
    .execute(&pool)
    .await
    .unwrap();
    let run = windrow.trigger("large").await.job_id;
    sqlx::query(
        "insert into property_change (source, property_id, number, job_id, changed_at, fields)
        select
            'large', '0001', n, $2, now(),
            jsonb_build_array(jsonb_build_object('field', 'text', 'old', repeat('x', 500000)))
        from generate_series(1, $1) n",
    )
    .bind(count)
    .bind(run)
    .execute(&pool)
    .await
    .unwrap();
}

#[tokio::test]
async fn large_properties_and_their_changes_can_be_listed_and_exported() {
    let windrow = start().await;
    windrow.create("large").await;
    store_properties(&windrow, 60).await;
    let mut properties = PropertyServiceClient::new(channel(&windrow).await);

    let (mut listed, mut page_token) = (0, String::new());
    loop {
        let filter = Some(large());
        let request = proto::ListPropertiesRequest { filter, page_size: 1_000, page_token };
        let page = properties.list_properties(request).await.unwrap().into_inner();
        listed += page.properties.len();
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(listed, 60);

    let request = proto::ExportPropertiesRequest { filter: Some(large()), ..Default::default() };
    let mut export = properties.export_properties(request).await.unwrap().into_inner();
    let mut exported = 0;
    while let Some(batch) = export.message().await.unwrap() {
        exported += batch.properties.len();
    }
    assert_eq!(exported, 60);

    let (mut changes, mut page_token) = (0, String::new());
    loop {
        let (source, property_id) = ("large".to_owned(), "0001".to_owned());
        let request = proto::GetPropertyRequest { source, property_id, limit: 1_000, page_token };
        let found = properties.get_property(request).await.unwrap().into_inner();
        assert_eq!(found.total_changes, 60);
        changes += found.changes.len();
        page_token = found.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(changes, 60);
    windrow.stop().await;
}

#[tokio::test]
async fn runs_and_jobs_with_a_thousand_long_locations_can_be_listed() {
    let windrow = start().await;
    for number in 0..20 {
        let parameters = Some(large_parameters(SOURCE));
        let id = format!("large_{number:02}");
        windrow.create_as(proto::ScheduledJob { parameters, ..job(&id) }).await.unwrap();
        windrow.trigger("large_00").await;
    }
    let channel = channel(&windrow).await;
    let mut runs = ScrapingJobServiceClient::new(channel.clone());
    let mut jobs = ScheduledJobServiceClient::new(channel);

    let (mut listed, mut page_token) = (0, String::new());
    loop {
        let request = proto::ListScrapingJobsRequest { page_token, ..Default::default() };
        let page = runs.list_scraping_jobs(request).await.unwrap().into_inner();
        assert_eq!(page.total, 20);
        listed += page.scraping_jobs.len();
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(listed, 20);

    let (mut listed, mut page_token) = (0, String::new());
    loop {
        let request = proto::ListScheduledJobsRequest { page_token, ..Default::default() };
        let page = jobs.list_scheduled_jobs(request).await.unwrap().into_inner();
        listed += page.scheduled_jobs.len();
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(listed, 20);

    let scheduled_job_id = "large_00".to_owned();
    let request = proto::GetScheduledJobRequest { scheduled_job_id, ..Default::default() };
    let found = jobs.get_scheduled_job(request).await.unwrap().into_inner();
    assert_eq!(found.total_runs, 20);
    assert!((10..20).contains(&found.job_runs.len()), "{}", found.job_runs.len());
    windrow.stop().await;
}

/// A worker that lost every lease it did not receive would use up the attempts of its runs.
#[tokio::test]
async fn a_lease_call_takes_as_many_runs_as_fit_into_its_response() {
    let windrow = start().await;
    let parameters = Some(large_parameters(SOURCE));
    windrow.create_as(proto::ScheduledJob { parameters, ..job("large") }).await.unwrap();
    for _ in 0..16 {
        windrow.trigger("large").await;
    }
    let mut workers = WorkerServiceClient::new(channel(&windrow).await);

    let (mut held, mut calls) = (Vec::new(), 0);
    while held.len() < 16 {
        let request = proto::LeaseScrapingJobsRequest {
            worker_id: "worker".to_owned(),
            sources: vec![SOURCE.to_owned()],
            capacity: 16,
            wait: None,
            held: held.clone(),
        };
        let leased = workers.lease_scraping_jobs(request).await.unwrap().into_inner();
        let attempt = |lease: proto::Lease| {
            assert_eq!(lease.locations.len(), 1_000);
            let run = lease.scraping_job.unwrap();
            assert_eq!(run.attempt, 1);
            proto::Attempt { job_id: run.job_id, attempt: run.attempt }
        };
        held.extend(leased.leases.into_iter().map(attempt));
        calls += 1;
    }
    assert!((3..=4).contains(&calls), "{calls} calls");
    windrow.stop().await;
}
