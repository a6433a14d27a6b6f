//! Labels, and the filter of lists.

use std::collections::BTreeMap;

use windrow_client::{Code, Error, SubmitRun, proto};

use crate::support::{QUICK, Windrow, job, parameters};

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

async fn create(windrow: &Windrow, id: &str, pairs: &[(&str, &str)]) {
    let job = proto::ScheduledJob { labels: labels(pairs), ..job(id) };
    assert_eq!(windrow.create_as(job).await.unwrap().labels, labels(pairs));
}

async fn jobs(windrow: &Windrow, filter: &str) -> Result<Vec<String>, Error> {
    let listed = windrow.client.list_jobs().filter(filter).await?;
    assert_eq!(usize::try_from(listed.total).unwrap(), listed.scheduled_jobs.len());
    Ok(listed.scheduled_jobs.into_iter().map(|job| job.scheduled_job_id).collect())
}

async fn runs(windrow: &Windrow, filter: &str) -> Result<Vec<String>, Error> {
    let listed = windrow.client.list_runs().filter(filter).await?;
    assert_eq!(usize::try_from(listed.total).unwrap(), listed.scraping_jobs.len());
    Ok(listed.scraping_jobs.into_iter().map(|run| run.job_id).collect())
}

#[tokio::test]
async fn a_run_has_the_labels_of_its_job_and_of_its_trigger() {
    let windrow = Windrow::start().await;
    create(&windrow, "job", &[("team", "sales"), ("env", "prod")]).await;
    let request = proto::TriggerJobRequest {
        job_id: "job".to_owned(),
        labels: labels(&[("env", "test"), ("why", "a try")]),
        ..Default::default()
    };

    let triggered = windrow.trigger_as(request).await.unwrap().scraping_job.unwrap();
    let again = windrow.trigger(&triggered.job_id).await.scraping_job.unwrap();
    let update = windrow.client.update_job("job").labels(labels(&[("team", "rentals")]));
    let updated = update.await.unwrap();

    let expected = labels(&[("team", "sales"), ("env", "test"), ("why", "a try")]);
    assert_eq!(triggered.labels, expected);
    assert_eq!(again.labels, expected);
    assert_eq!(updated.labels, labels(&[("team", "rentals")]));
    assert_eq!(windrow.get_run(&triggered.job_id).await.labels, expected);
    windrow.stop().await;
}

#[tokio::test]
async fn a_repeated_trigger_with_labels_is_the_same_request() {
    let windrow = Windrow::start().await;
    windrow.create("job").await;
    let many: Vec<(String, String)> = (0..20).map(|n| (format!("key{n}"), n.to_string())).collect();
    let request = || proto::TriggerJobRequest {
        job_id: "job".to_owned(),
        request_id: "once".to_owned(),
        labels: many.iter().cloned().collect(),
        ..Default::default()
    };

    let first = windrow.trigger_as(request()).await.unwrap();
    let second = windrow.trigger_as(request()).await.unwrap();

    assert_eq!(first.job_id, second.job_id);
    windrow.stop().await;
}

#[tokio::test]
async fn jobs_are_listed_by_filter() {
    let windrow = Windrow::start().await;
    create(&windrow, "a", &[("team", "sales"), ("env", "prod")]).await;
    create(&windrow, "b", &[("team", "sales")]).await;
    create(&windrow, "c", &[]).await;
    windrow.client.pause_job("b").await.unwrap();

    let check = async |filter: &str, expected: &[&str]| {
        assert_eq!(jobs(&windrow, filter).await.unwrap(), expected, "{filter}");
    };
    check("", &["a", "b", "c"]).await;
    check("labels.team = sales", &["a", "b"]).await;
    check("labels.team = sales AND status = active", &["a"]).await;
    check("labels.env != prod", &["b", "c"]).await;
    check("labels:env", &["a"]).await;
    check("NOT labels:env AND -labels:team", &["c"]).await;
    check("status != SCHEDULED_JOB_STATUS_PAUSED", &["a", "c"]).await;
    check("status = active AND status = paused", &[]).await;
    check(&format!("parameters.source = {QUICK}"), &["a", "b", "c"]).await;
    check("parameters.source = none", &[]).await;
    check("priority = normal", &["a", "b", "c"]).await;
    check("created_at > '2099-01-01T00:00:00Z'", &[]).await;
    check("created_at < '2099-01-01T00:00:00Z'", &["a", "b", "c"]).await;
    windrow.stop().await;
}

#[tokio::test]
async fn runs_are_listed_by_filter_in_pages() {
    let windrow = Windrow::start().await;
    create(&windrow, "a", &[("team", "sales")]).await;
    create(&windrow, "b", &[("team", "rentals")]).await;
    let one = windrow.trigger("a").await.job_id;
    let two = windrow.trigger("b").await.job_id;
    let submit = SubmitRun::from(parameters(QUICK)).label("draft", "");
    let three = windrow.client.submit_run(submit).await.unwrap().job_id;
    for run in [&one, &two, &three] {
        windrow.end(run).await;
    }

    let check = async |filter: &str, expected: &[&str]| {
        assert_eq!(runs(&windrow, filter).await.unwrap(), expected, "{filter}");
    };
    check("status = completed", &[&three, &two, &one]).await;
    check("labels.team = sales", &[&one]).await;
    check("labels.team != sales", &[&three, &two]).await;
    check("labels:draft AND labels.draft = ''", &[&three]).await;
    check("NOT labels:draft", &[&two, &one]).await;
    check("origin = triggered AND priority = immediate", &[&two, &one]).await;
    check("origin = immediate", &[&three]).await;
    check("scheduled_job_id = b", &[&two]).await;
    let list = |page_token: &str, filter: &str| {
        windrow.client.list_runs().filter(filter).page_size(1).page_token(page_token)
    };
    let page = list("", "NOT labels:draft").await.unwrap();
    let token = page.next_page_token;
    let next = list(&token, "NOT labels:draft").await.unwrap();
    assert_eq!((&next.scraping_jobs[0].job_id, next.total), (&one, 2));
    let foreign = list(&token, "labels:draft").await.unwrap_err();
    assert_eq!(foreign.field_violations()[0].field, "page_token");
    windrow.stop().await;
}

#[tokio::test]
async fn invalid_labels_and_filters_are_rejected_with_their_field() {
    let windrow = Windrow::start().await;
    let field = |error: Error| {
        assert_eq!(error.code(), Code::InvalidArgument);
        error.field_violations()[0].field.clone()
    };
    let job = proto::ScheduledJob { labels: labels(&[("Team", "x")]), ..job("job") };
    let bad_job = windrow.create_as(job).await.unwrap_err();
    windrow.create("job").await;
    let bad_trigger = windrow
        .trigger_as(proto::TriggerJobRequest {
            job_id: "job".to_owned(),
            labels: labels(&[("team", &"x".repeat(64))]),
            ..Default::default()
        })
        .await
        .unwrap_err();

    assert_eq!(field(bad_job), "scheduled_job.labels");
    assert_eq!(field(bad_trigger), "labels.team");
    for filter in ["status = done", "colour = red", "status = failed OR status = completed", "("] {
        assert_eq!(field(jobs(&windrow, filter).await.unwrap_err()), "filter");
        assert_eq!(field(runs(&windrow, filter).await.unwrap_err()), "filter");
    }
    assert_eq!(runs(&windrow, "").await.unwrap(), [""; 0]);
    windrow.stop().await;
}
