//! Tests of the `reso` source against a fake server.

mod encodings;
mod faults;
mod paging;
mod queries;
mod tokens;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{Response, StatusCode};
use futures::stream;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::*;
use crate::sources::ScrapeRequest;
use crate::sources::tests::collect;

/// The response to one request.
enum Answer {
    Status(StatusCode, &'static str, String),
    /// With a content encoding.
    Encoded(&'static str, Vec<u8>),
    Silence,
    /// The connection breaks in the body.
    Broken,
    Endless,
}

/// A server that gives these responses.
#[derive(Clone)]
struct Fake {
    root: Url,
    answer: Arc<dyn Fn(&Request) -> Answer + Send + Sync>,
    /// `METHOD path?query authorization` of each request.
    seen: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    /// Gives these responses in order, and then empty pages.
    async fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let answers = Mutex::new(answers.into_iter().collect::<VecDeque<_>>());
        let next = move |_: &Request| answers.lock().unwrap().pop_front();
        Self::start_with(move |request| next(request).unwrap_or_else(|| page(&[], None))).await
    }

    async fn start_with(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let root = format!("http://{}/reso", listener.local_addr().unwrap());
        let fake =
            Self { root: root.parse().unwrap(), answer: Arc::new(answer), seen: Arc::default() };
        let handler = fake.clone();
        let app = Router::new().fallback(move |request: Request| {
            let fake = handler.clone();
            let answer = fake.next(&request);
            async move { response(answer).await }
        });
        std::thread::spawn(move || {
            // A separate runtime: `tokio::spawn` is reserved for the supervisor.
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let listener = listener.into_std().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                axum::serve(listener, app).await.unwrap();
            });
        });
        fake
    }

    fn next(&self, request: &Request) -> Answer {
        let auth =
            request.headers().get("authorization").map_or("", |value| value.to_str().unwrap());
        self.seen.lock().unwrap().push(format!("{} {} {auth}", request.method(), request.uri()));
        (self.answer)(request)
    }

    fn settings(&self) -> ResoSettings {
        let text = format!("url = '{}'\ntoken = 'secret'\ntimeout = '20s'", self.root);
        toml::from_str(&text).unwrap()
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    async fn scrape(&self) -> (Vec<String>, Result<(), SourceError>) {
        scrape(self.settings(), request()).await
    }
}

async fn response(answer: Answer) -> Response<Body> {
    match answer {
        Answer::Status(status, header, body) => {
            let (name, value) = header.split_once(": ").unwrap_or(("x-none", ""));
            Response::builder().status(status).header(name, value).body(body.into()).unwrap()
        }
        Answer::Encoded(encoding, body) => {
            Response::builder().header("content-encoding", encoding).body(body.into()).unwrap()
        }
        Answer::Silence => std::future::pending().await,
        Answer::Broken => {
            let begin = Bytes::from_static(b"{\"value\": [");
            let pieces = [Ok(begin), Err(std::io::Error::other("gone"))];
            Response::new(Body::from_stream(stream::iter(pieces)))
        }
        Answer::Endless => {
            let piece = Bytes::from(vec![b' '; 1024 * 1024]);
            let pieces = stream::repeat_with(move || Ok::<_, std::io::Error>(piece.clone()));
            Response::new(Body::from_stream(pieces))
        }
    }
}

fn page(ids: &[&str], next: Option<&str>) -> Answer {
    let listings: Vec<Value> = ids
        .iter()
        .map(|id| json!({ "ListingKey": id, "@odata.etag": "x", "ListPrice": 1 }))
        .collect();
    let mut page = json!({ "@odata.context": "$metadata#Property", "value": listings });
    if let Some(next) = next {
        page["@odata.nextLink"] = json!(next);
    }
    Answer::Status(StatusCode::OK, "", page.to_string())
}

fn status(status: StatusCode, header: &'static str) -> Answer {
    let body = json!({ "error": { "code": "x", "message": "what it says" } });
    Answer::Status(status, header, body.to_string())
}

fn request() -> ScrapeRequest {
    ScrapeRequest {
        job_id: "job-1".to_owned(),
        attempt: 1,
        scheduled_job_id: None,
        origin: "triggered".to_owned(),
        tick_at: None,
        reference_time: "2025-01-10T00:00:00Z".parse().unwrap(),
        location: "46201".to_owned(),
        parameters: json!({}),
        listing_types: Vec::new(),
        limit: 10_000,
        changed_since: None,
    }
}

async fn scrape(
    settings: ResoSettings,
    request: ScrapeRequest,
) -> (Vec<String>, Result<(), SourceError>) {
    let (ids, result, _log) = scrape_with_log(&ResoSource::new(settings), request).await;
    (ids, result)
}

async fn scrape_with_log(
    source: &ResoSource,
    request: ScrapeRequest,
) -> (Vec<String>, Result<(), SourceError>, Vec<String>) {
    source.settings.validate().unwrap();
    let (task, output) = Task::new(request);
    let stop = CancellationToken::new();
    let scraping = windrow_worker::scrape(source, task, &stop);
    let (result, (properties, log)) = tokio::join!(scraping, collect(output));
    assert!(properties.iter().all(|property| !property.body.contains_key("@odata.etag")));
    (properties.into_iter().map(|property| property.id).collect(), result, log)
}

fn reason(result: Result<(), SourceError>) -> String {
    match result.unwrap_err() {
        SourceError::Failed { reason, .. } => reason,
        other => panic!("{other:?} is not a failed location"),
    }
}

fn decoded(url: &Url) -> String {
    let query = url.query().unwrap();
    percent_encoding::percent_decode_str(query).decode_utf8().unwrap().into_owned()
}

fn settings(more: &str) -> ResoSettings {
    toml::from_str(&format!("url = 'https://mls.example/reso/odata/'\ntoken = 'x'\n{more}"))
        .unwrap()
}

#[tokio::test]
async fn pages_are_read_to_the_last_and_numbers_become_ids() {
    let fake =
        Fake::start([page(&["1", "2"], Some("Property?$skiptoken=2")), page(&["3"], None)]).await;
    let numbers = json!({ "value": [{ "ListingKey": 4 }] }).to_string();
    assert_eq!(fake.scrape().await, (vec!["1".into(), "2".into(), "3".into()], Ok(())));
    let seen = fake.seen();
    assert_eq!(seen.len(), 2);
    assert!(
        seen[0].starts_with("GET /reso/Property?$filter=") && seen[0].ends_with(" Bearer secret")
    );
    assert!(seen[1].starts_with("GET /reso/Property?$skiptoken=2 "), "{seen:?}");
    let fake = Fake::start([Answer::Status(StatusCode::OK, "", numbers)]).await;
    assert_eq!(fake.scrape().await, (vec!["4".into()], Ok(())));
}
