//! Unary calls against servers that fail on purpose.

use futures::TryStreamExt;
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt};
use tracing::instrument::WithSubscriber as _;
use tracing_subscriber::fmt::format::FmtSpan;

use super::*;
use crate::fake::{End, Fake, unused_address};
use crate::{Code, RetryBudget, proto};

fn stopping() -> Status {
    Status::unavailable("stopping")
}

async fn cancel(client: &Client) -> Result<proto::ScrapingJob, Error> {
    client.cancel_run("run").await
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

    let run = client.trigger_job("job").await.unwrap();

    assert_eq!(run.job_id, "run");
    let ids = fake.request_ids.lock().unwrap();
    assert_eq!(ids.len(), 3);
    assert!(!ids[0].is_empty() && ids.iter().all(|id| *id == ids[0]));
}

/// The spans that close during the work.
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
async fn a_call_is_a_span_with_its_result() {
    let fake = Fake::default();
    fake.fail(stopping());
    let client = fake.client().await;

    let spans = spans(client.trigger_job("job")).await;

    let span = serde_json::json!({
        "name": "windrow.call",
        "rpc.system": "grpc",
        "rpc.method": "TriggerJob",
        "rpc.code": "Ok",
        "rpc.attempts": 2,
        "server.address": client.endpoint(),
    });
    assert_eq!(spans, [span]);
}

#[tokio::test]
async fn each_opening_of_a_stream_is_a_span_with_its_result() {
    let fake = Fake::default();
    // The first opens; the second finds no such run.
    fake.ones.lock().unwrap().push((vec![Err(stopping())], End::Closed));
    let client = fake.client().await;

    let spans = spans(client.watch("run").states().try_next()).await;

    let span = |code: &str| {
        serde_json::json!({
            "name": "windrow.call",
            "rpc.system": "grpc",
            "rpc.method": "WatchScrapingJob",
            "rpc.code": code,
            "server.address": client.endpoint(),
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

    assert!(matches!(error, Err(error) if error.code() == Code::Unavailable));
    assert_eq!(fake.cancels.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_limit_with_a_retry_delay_is_waited_for() {
    let fake = Fake::default();
    let pause = Duration::from_millis(50);
    let details = ErrorDetails::with_retry_info(Some(pause));
    fake.fail(Status::with_error_details(Code::ResourceExhausted, "busy", details));
    let client = fake.client().await;
    let begin = Instant::now();

    client.trigger_job("job").await.unwrap();
    assert!(begin.elapsed() >= pause);

    fake.fail(Status::resource_exhausted("full"));
    let error = client.trigger_job("job").await.unwrap_err();
    assert_eq!(error.code(), Code::ResourceExhausted);
}

#[tokio::test]
async fn an_exhausted_budget_ends_the_retries_of_all_clones() {
    let fake = Fake::default();
    (0..9).for_each(|_| fake.fail(stopping()));
    // Allows one retry for two calls.
    let client = Client::builder().endpoint(fake.serve().await);
    let client = client.retry_budget(RetryBudget { per_second: 0, percent: 50 });
    let client = client.connect().await.unwrap();

    for clone in [client.clone(), client] {
        let error = clone.trigger_job("job").await.unwrap_err();
        assert_eq!(error.code(), Code::Unavailable);
    }

    assert_eq!(fake.request_ids.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn an_unreachable_server_is_a_connect_error() {
    let address = unused_address().await;

    let eager = Client::connect(&address).await.unwrap_err();
    let lazy = Client::connect_lazy(&address).unwrap();
    let later = lazy.get_run("run").await.unwrap_err();

    assert!(matches!(eager, Error::Connect { .. }));
    assert!(matches!(later, Error::Connect { .. }), "{later:?}");
}

#[tokio::test]
async fn the_client_moves_to_another_server_and_stays_there() {
    let (first, second) = (Fake::default(), Fake::default());
    let servers =
        format!("{},{}, {}", unused_address().await, first.serve().await, second.serve().await);
    // Finding a server that answers costs no retry, even for a call that is sent once.
    let lazy = Client::builder().endpoint(&servers);
    let lazy = lazy.retry_budget(RetryBudget { per_second: 0, percent: 0 }).connect_lazy().unwrap();
    cancel(&lazy).await.unwrap();
    let client = Client::connect(&servers).await.unwrap();
    first.fail(stopping());

    client.trigger_job("job").await.unwrap();
    client.trigger_job("job").await.unwrap();

    assert_eq!(first.cancels.lock().unwrap().len(), 1);
    assert_eq!(first.request_ids.lock().unwrap().len(), 1);
    let ids = second.request_ids.lock().unwrap();
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0], first.request_ids.lock().unwrap()[0]);
    assert_eq!(client.endpoint(), servers.rsplit(' ').next().unwrap());
}

#[tokio::test]
async fn a_call_ends_at_its_timeout() {
    let client = Client::builder().endpoint(Fake::default().serve().await);
    let client = client.timeout(Duration::from_millis(100)).connect().await.unwrap();

    let error = client.get_run("run").await;

    let error = error.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
}

#[tokio::test]
async fn the_bearer_token_and_the_user_agent_are_sent_with_every_call() {
    let fake = Fake::default();
    let client = Client::builder().endpoint(fake.serve().await).bearer_token("abc");
    let client = client.user_agent("test/1");
    let client = client.connect().await.unwrap();

    client.trigger_job("job").await.unwrap();

    let headers = fake.headers.lock().unwrap();
    assert_eq!(headers[0].get("authorization").unwrap(), "Bearer abc");
    let agent = headers[0].get("user-agent").unwrap().to_str().unwrap();
    let own = concat!("windrow-client/", env!("CARGO_PKG_VERSION"), " test/1");
    assert!(agent.starts_with(own), "{agent}");
}
