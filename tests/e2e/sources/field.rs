//! Sources as they are in the field: programs that work for long, and services that send back secrets.

use axum::Router;
use axum::http::StatusCode;
use tokio::net::TcpListener;
use windrow_client::proto;
use windrow_server::supervisor::Supervisor;

use crate::support::{Windrow, eventually, job, parameters, source_of};
use proto::ScrapingJobStatus as Status;

async fn log(windrow: &Windrow, run: &str) -> Vec<proto::ScrapingJobLog> {
    let request =
        proto::ListScrapingJobLogsRequest { job_id: run.to_owned(), ..Default::default() };
    windrow.client.raw().list_scraping_job_logs(request).await.unwrap().logs
}

async fn with_source(settings: &str) -> Windrow {
    let windrow = Windrow::start_with(|config| {
        config.sources.insert("it".to_owned(), source_of(settings));
    })
    .await;
    let parameters =
        proto::ScrapeParameters { locations: vec!["46201".to_owned()], ..parameters("it") };
    windrow
        .create_as(proto::ScheduledJob { parameters: Some(parameters), ..job("it") })
        .await
        .unwrap();
    windrow
}

#[tokio::test]
async fn the_log_of_a_program_can_be_followed_while_it_works() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("continue");
    let script = format!(
        "echo first >&2; until [ -e {0} ]; do sleep 0.05; done; echo second >&2",
        file.display()
    );
    let windrow = with_source(&format!("kind = 'exec'\ncommand = ['sh', '-c', '{script}']")).await;
    let run = windrow.trigger("it").await.job_id;

    let seen = eventually("the first line", async || {
        let lines = log(&windrow, &run).await;
        let first = lines.iter().find(|line| line.text == "first").cloned();
        first.ok_or(lines)
    })
    .await;
    assert_eq!(windrow.get_run(&run).await.status(), Status::Running);
    std::fs::write(&file, "").unwrap();
    assert_eq!(windrow.end(&run).await.status(), Status::Completed);

    let lines = log(&windrow, &run).await;
    let second = lines.iter().find(|line| line.text == "second").unwrap();
    let time = |line: &proto::ScrapingJobLog| line.logged_at.map(|time| (time.seconds, time.nanos));
    assert!(time(&seen) < time(second), "each line has its own time: {lines:#?}");
    windrow.stop().await;
}

#[tokio::test]
async fn a_secret_that_a_service_sends_back_is_stored_only_as_stars() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let root = format!("http://{}", listener.local_addr().unwrap());
    let echo = |body: String| async move {
        let error = serde_json::json!({ "error": "invalid_request", "error_description": body });
        (StatusCode::BAD_REQUEST, error.to_string())
    };
    let app = Router::new().fallback(echo);
    Supervisor::default().work(async { axum::serve(listener, app).await.unwrap() });
    let windrow = with_source(&format!(
        "kind = 'reso'\nurl = '{root}'\noauth2 = {{ token_url = '{root}/token', client_id = 'me', \
         client_secret = 'hush/hush+1' }}"
    ))
    .await;
    let run = windrow.trigger("it").await.job_id;
    let run = eventually("an error", async || {
        let run = windrow.get_run(&run).await;
        if run.error_message.is_empty() { Err(run) } else { Ok(run) }
    })
    .await;
    let texts = format!("{run:?} {:?}", log(&windrow, &run.job_id).await);
    assert!(texts.contains("client_secret=***"), "{texts}");
    assert!(!texts.contains("hush"), "{texts}");
    windrow.stop().await;
}
