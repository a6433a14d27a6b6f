//! Unary calls against servers that fail on purpose.

use futures::TryStreamExt;
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt};
use tracing::instrument::WithSubscriber as _;
use tracing_subscriber::fmt::format::FmtSpan;

use super::*;
use crate::fake::{End, Fake, unused_address};
use crate::{Code, TriggerJob, proto};

fn stopping() -> Status {
    Status::unavailable("stopping")
}

async fn cancel(client: &Client) -> Result<proto::CancelScrapingJobResponse, Error> {
    client.cancel_scraping_job(proto::CancelScrapingJobRequest::default()).await
}

#[test]
fn only_an_empty_request_id_is_filled() {
    let mut id = String::new();
    fill_request_id(&mut id);
    assert_eq!(id.len(), 36);
    let before = id.clone();
    fill_request_id(&mut id);
    assert_eq!(id, before);
}

#[tokio::test]
async fn a_retried_trigger_keeps_its_request_id() {
    let fake = Fake::default();
    fake.fail(stopping());
    fake.fail(stopping());
    let client = fake.client().await;

    let response = client.trigger_job(TriggerJob::new("job")).await.unwrap();

    assert_eq!(response.job_id, "run");
    let ids = fake.request_ids.lock().unwrap();
    assert_eq!(ids.len(), 3);
    assert!(!ids[0].is_empty() && ids.iter().all(|id| *id == ids[0]));
}

/// The spans that close meanwhile.
async fn spans(work: impl Future) -> Vec<serde_json::Value> {
    let log = tempfile::NamedTempFile::new().unwrap();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_span_events(FmtSpan::CLOSE)
        .with_writer(log.reopen().unwrap())
        .finish();
    work.with_subscriber(subscriber).await;
    let written = std::fs::read_to_string(log.path()).unwrap();
    let lines = written.lines().map(serde_json::from_str::<serde_json::Value>);
    lines.map(|line| line.unwrap()["span"].take()).collect()
}

#[tokio::test]
async fn a_call_is_a_span_that_tells_what_came_of_it() {
    let fake = Fake::default();
    fake.fail(stopping());
    let client = fake.client().await;

    let spans = spans(client.trigger_job(TriggerJob::new("job"))).await;

    let span = serde_json::json!({
        "name": "windrow.call",
        "rpc.system": "grpc",
        "rpc.method": "TriggerJob",
        "rpc.code": "Ok",
        "rpc.attempts": 2,
        "server.address": client.server(),
    });
    assert_eq!(spans, [span]);
}

#[tokio::test]
async fn each_opening_of_a_stream_is_a_span_that_tells_what_came_of_it() {
    let fake = Fake::default();
    // It opens; then there is no such run.
    fake.ones.lock().unwrap().push((vec![Err(stopping())], End::Closed));
    let client = fake.client().await;

    let spans = spans(client.watch("run").try_next()).await;

    let span = |code: &str| {
        serde_json::json!({
            "name": "windrow.call",
            "rpc.system": "grpc",
            "rpc.method": "WatchScrapingJob",
            "rpc.code": code,
            "server.address": client.server(),
        })
    };
    assert_eq!(spans, [span("Ok"), span("NotFound")]);
}

#[tokio::test]
async fn a_call_without_request_id_is_sent_once() {
    let fake = Fake::default();
    fake.fail(stopping());
    let client = fake.client().await;

    let error = cancel(&client).await;

    assert!(matches!(error, Err(Error::Unavailable { .. })));
    assert_eq!(fake.cancels.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_limit_is_waited_for_when_the_server_says_how_long() {
    let fake = Fake::default();
    let pause = Duration::from_millis(50);
    let details = ErrorDetails::with_retry_info(Some(pause));
    fake.fail(Status::with_error_details(Code::ResourceExhausted, "busy", details));
    let client = fake.client().await;
    let begin = Instant::now();

    client.trigger_job(TriggerJob::new("job")).await.unwrap();
    assert!(begin.elapsed() >= pause);

    fake.fail(Status::resource_exhausted("full"));
    let error = client.trigger_job(TriggerJob::new("job")).await.unwrap_err();
    assert!(matches!(error, Error::ResourceExhausted { .. }), "{error:?}");
}

#[tokio::test]
async fn a_spent_budget_ends_the_retries_of_all_clones() {
    let fake = Fake::default();
    (0..9).for_each(|_| fake.fail(stopping()));
    // One retry for two calls.
    let client = Client::builder().server(fake.serve().await).retry_budget(0, 50);
    let client = client.connect().await.unwrap();

    for clone in [client.clone(), client] {
        let error = clone.trigger_job(TriggerJob::new("job")).await.unwrap_err();
        assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    }

    assert_eq!(fake.request_ids.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_connect_error() {
    let address = unused_address().await;

    let eager = Client::connect(&address).await.unwrap_err();
    let lazy = Client::connect_lazy(&address).unwrap();
    let later = lazy.get_scraping_job(proto::GetScrapingJobRequest::default()).await.unwrap_err();

    assert!(matches!(eager, Error::Connect { .. }));
    assert!(matches!(later, Error::Connect { .. }), "{later:?}");
}

#[tokio::test]
async fn another_server_is_taken_and_kept_to() {
    let (first, second) = (Fake::default(), Fake::default());
    let servers =
        format!("{},{}, {}", unused_address().await, first.serve().await, second.serve().await);
    // It costs no retry to find the first that is there, not even for a call that is sent once.
    let lazy = Client::builder().server(&servers).retry_budget(0, 0).connect_lazy().unwrap();
    cancel(&lazy).await.unwrap();
    let client = Client::connect(&servers).await.unwrap();
    first.fail(stopping());

    client.trigger_job(TriggerJob::new("job")).await.unwrap();
    client.trigger_job(TriggerJob::new("job")).await.unwrap();

    assert_eq!(first.cancels.lock().unwrap().len(), 1);
    assert_eq!(first.request_ids.lock().unwrap().len(), 1);
    let ids = second.request_ids.lock().unwrap();
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0], first.request_ids.lock().unwrap()[0]);
    assert_eq!(client.server(), servers.rsplit(' ').next().unwrap());
}

#[tokio::test]
async fn a_call_ends_at_its_deadline() {
    let client = Client::builder().server(Fake::default().serve().await);
    let client = client.deadline(Duration::from_millis(100)).connect().await.unwrap();

    let error = client.get_scraping_job(proto::GetScrapingJobRequest::default()).await;

    let error = error.unwrap_err();
    assert!(matches!(error, Error::DeadlineExceeded { .. }), "{error:?}");
}

#[tokio::test]
async fn the_token_and_the_user_agent_go_with_every_call() {
    let fake = Fake::default();
    let client = Client::builder().server(fake.serve().await).token("abc").application("test/1");
    let client = client.connect().await.unwrap();

    client.trigger_job(TriggerJob::new("job")).await.unwrap();

    let headers = fake.headers.lock().unwrap();
    assert_eq!(headers[0].get("authorization").unwrap(), "Bearer abc");
    let agent = headers[0].get("user-agent").unwrap().to_str().unwrap();
    let own = concat!("windrow-client/", env!("CARGO_PKG_VERSION"), " test/1");
    assert!(agent.starts_with(own), "{agent}");
}
