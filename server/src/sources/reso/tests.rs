//! Queries, and what becomes of every fault of a server.

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
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::*;

/// What the server does with a request.
enum Answer {
    Status(StatusCode, &'static str, String),
    Silence,
    /// The connection breaks in the middle of the body.
    Broken,
    /// A body without an end.
    Endless,
}

/// A server that answers as it is told, in order, and then with an empty page.
#[derive(Clone)]
struct Fake {
    root: Url,
    answers: Arc<Mutex<VecDeque<Answer>>>,
    /// `METHOD path?query authorization` of each request.
    seen: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    async fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let root = format!("http://{}/reso", listener.local_addr().unwrap());
        let fake = Self {
            root: root.parse().unwrap(),
            answers: Arc::new(Mutex::new(answers.into_iter().collect())),
            seen: Arc::default(),
        };
        let handler = fake.clone();
        let app = Router::new().fallback(move |request: Request| {
            let fake = handler.clone();
            let answer = fake.next(&request);
            async move { response(answer).await }
        });
        std::thread::spawn(move || {
            // A runtime of its own: work in the server belongs to its supervisor.
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
        let answer = self.answers.lock().unwrap().pop_front();
        answer.unwrap_or_else(|| page(&[], None))
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
    settings.validate().unwrap();
    let source = ResoSource::new(settings);
    let (sender, mut receiver) = mpsc::channel::<ScrapedRow>(4);
    let collect = async {
        let mut ids = Vec::new();
        while let Some(row) = receiver.recv().await {
            assert!(!row.body.contains_key("@odata.etag"));
            ids.push(row.property_id);
        }
        ids
    };
    let scraping =
        async move { source.scrape(request, sender, CancellationToken::new()).await.result };
    tokio::join!(collect, scraping)
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

#[test]
fn a_location_becomes_a_filter() {
    let check = |location: &str, expected: &str| {
        let request = ScrapeRequest { location: location.to_owned(), ..request() };
        let url = query::first_page(&settings(""), &request).unwrap();
        assert_eq!(url.path(), "/reso/odata/Property");
        assert!(decoded(&url).starts_with(&format!("$filter={expected}&$orderby=")), "{url}");
        assert!(!url.query().unwrap().contains(['+', ' ', '\'']), "{url}");
    };
    check("46201", "PostalCode eq '46201'");
    check("Indianapolis, in", "City eq 'Indianapolis' and StateOrProvince eq 'IN'");
    check("O'Fallon, MO", "City eq 'O''Fallon' and StateOrProvince eq 'MO'");
    check("Carmel", "City eq 'Carmel'");
    check("462011", "City eq '462011'");
}

#[test]
fn kinds_times_fields_and_limits_become_options() {
    let query = |request: ScrapeRequest, more: &str| {
        decoded(&query::first_page(&settings(more), &request).unwrap())
    };
    let sold = query(
        ScrapeRequest {
            listing_types: vec!["SOLD".to_owned(), "FOR_RENT".to_owned()],
            ..request()
        },
        "select = ['ListPrice']\nfilter = \"MlsStatus ne 'X'\"",
    );
    assert_eq!(
        sold,
        "$filter=PostalCode eq '46201' and (StandardStatus eq 'Closed' or (StandardStatus eq 'Active' \
         and PropertyType eq 'Residential Lease')) and (MlsStatus ne 'X')\
         &$select=ListingKey,ModificationTimestamp,ListPrice&$orderby=ModificationTimestamp,ListingKey"
    );
    let since = Some("2025-01-09T12:00:00Z".parse().unwrap());
    let days = query(ScrapeRequest { parameters: json!({ "past_days": 7 }), ..request() }, "");
    assert!(days.contains("ModificationTimestamp ge 2025-01-03T00:00:00.000Z"), "{days}");
    let later =
        ScrapeRequest { parameters: json!({ "past_days": 7 }), changed_since: since, ..request() };
    let later = query(later, "");
    assert!(later.contains("ModificationTimestamp ge 2025-01-09T11:55:00.000Z"), "{later}");
    let few = query(ScrapeRequest { parameters: json!({ "limit": 5 }), limit: 5, ..request() }, "");
    assert!(few.ends_with("$orderby=ModificationTimestamp desc,ListingKey&$top=5"), "{few}");
    let near = ScrapeRequest { parameters: json!({ "radius": 5 }), ..request() };
    assert!(query::first_page(&settings(""), &near).unwrap_err().contains("radius"));
}

#[test]
fn a_link_leads_to_the_same_server_only() {
    let root: Url = "https://mls.example/reso/odata".parse().unwrap();
    let from: Url = "https://mls.example/reso/odata/Property?$filter=x".parse().unwrap();
    let follow = |link: &str| query::follow(&root, &from, link).map(|url| url.to_string());
    let next = "https://mls.example/reso/odata/Property?$skiptoken=2";
    for link in
        [next, "Property?$skiptoken=2", "/reso/odata/Property?$skiptoken=2", "?$skiptoken=2"]
    {
        assert_eq!(follow(link).as_deref(), Ok(next), "{link}");
    }
    for link in [
        "https://evil.example/Property",
        "http://mls.example/x",
        "https://mls.example:8443/x",
        "//evil.example/x",
    ] {
        assert!(follow(link).unwrap_err().contains("another server"), "{link}");
    }
    assert!(follow(from.as_str()).unwrap_err().contains("its own page"));
}

#[test]
fn settings_that_would_leak_or_cannot_work_are_refused() {
    let check = |text: &str, expected: &str| {
        let settings: Result<ResoSettings, _> = toml::from_str(text);
        let refused = match settings {
            Ok(settings) => settings.validate().unwrap_err(),
            Err(error) => error.to_string(),
        };
        assert!(refused.contains(expected), "{text}: {refused}");
    };
    check("url = 'http://mls.example/'\ntoken = 'x'", "url must be https");
    check("url = 'ftp://mls.example/'\ntoken = 'x'", "url must begin with https");
    check("url = 'https://mls.example/'", "give one of token");
    check("url = 'https://mls.example/'\ntoken = 'x'\ntoken_file = 'y'", "give one of token");
    check("url = 'https://mls.example/'\ntoken = 'x'\npage_size = 0", "page_size must be");
    check("url = 'https://mls.example/'\ntoken = 'x'\nfull_every = 0", "full_every must be");
    check("url = 'https://mls.example/'\ntoken = 'x'\nselect = ['a b']", "not a field's name");
    check("url = 'https://mls.example/'\ntoken = 'x'\nresource = '../x'", "resource must be");
    check(
        "url = 'https://mls.example/'\n[oauth2]\ntoken_url = 'https://x/'\nclient_id = 'a'",
        "give one of client_secret",
    );
    assert!(!format!("{:?}", settings("")).contains("token"));
    assert!(
        toml::from_str::<ResoSettings>("url = 'http://localhost:1/'\ntoken = 'x'")
            .unwrap()
            .validate()
            .is_ok()
    );
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

#[tokio::test]
async fn what_passes_is_tried_again() {
    for fault in [
        status(StatusCode::TOO_MANY_REQUESTS, "retry-after: 0"),
        status(StatusCode::SERVICE_UNAVAILABLE, "retry-after: Wed, 21 Oct 2015 07:28:00 GMT"),
        status(StatusCode::INTERNAL_SERVER_ERROR, ""),
        Answer::Broken,
    ] {
        let fake = Fake::start([fault, page(&["1"], None)]).await;
        assert_eq!(fake.scrape().await, (vec!["1".into()], Ok(())));
        assert_eq!(fake.seen().len(), 2);
    }
}

#[tokio::test]
async fn retry_after_is_heard() {
    let begin = Instant::now();
    let fake =
        Fake::start([status(StatusCode::TOO_MANY_REQUESTS, "retry-after: 2"), page(&["1"], None)])
            .await;
    assert_eq!(fake.scrape().await.1, Ok(()));
    assert!(begin.elapsed() >= Duration::from_secs(2));
    let fake = Fake::start([status(StatusCode::TOO_MANY_REQUESTS, "retry-after: 3600")]).await;
    let said = reason(fake.scrape().await.1);
    assert!(said.contains("429") && said.contains("asks to wait 1h"), "{said}");
}

#[tokio::test]
async fn what_does_not_pass_fails_the_location_with_the_servers_words() {
    let zero = || status(StatusCode::BAD_GATEWAY, "retry-after: 0");
    let check = async |answers: Vec<Answer>, expected: &[&str], tries: usize| {
        let fake = Fake::start(answers).await;
        let said = reason(fake.scrape().await.1);
        assert!(expected.iter().all(|part| said.contains(part)), "{said}");
        assert_eq!(fake.seen().len(), tries, "{said}");
    };
    check((0..9).map(|_| zero()).collect(), &["502", "what it says", "5 tries"], 5).await;
    check(vec![status(StatusCode::BAD_REQUEST, "")], &["400", "what it says"], 1).await;
    let elsewhere = status(StatusCode::FOUND, "location: http://127.0.0.1:1/");
    check(vec![elsewhere], &["302", "not followed"], 1).await;
    let text = |text: &str| vec![Answer::Status(StatusCode::OK, "", text.to_owned())];
    check(text("<html>"), &["page 1: not a JSON object"], 1).await;
    check(text("{}"), &["page 1: has no list named value"], 1).await;
    check(text("{\"value\": [1]}"), &["listing 1 is not a JSON object"], 1).await;
    check(
        text("{\"value\": [{\"ListPrice\": 1}]}"),
        &["page 1, listing 1: ListingKey is missing"],
        1,
    )
    .await;
    check(vec![page(&["1"], Some("https://evil.example/"))], &["another server"], 1).await;
    check(vec![Answer::Endless], &["a page has more than"], 1).await;
}

#[tokio::test]
async fn rows_before_a_fault_are_kept() {
    let fake =
        Fake::start([page(&["1", "2"], Some("?a=b")), status(StatusCode::BAD_REQUEST, "")]).await;
    let (ids, result) = fake.scrape().await;
    assert_eq!(ids, ["1", "2"]);
    assert!(result.is_err());
}

#[tokio::test]
async fn more_than_a_run_takes_is_a_failure_unless_it_asked_for_few() {
    let all = || page(&["1", "2", "3"], None);
    let fake = Fake::start([all(), all()]).await;
    let (ids, result) = scrape(fake.settings(), ScrapeRequest { limit: 2, ..request() }).await;
    assert_eq!(ids, ["1", "2"]);
    assert!(reason(result).contains("has more than 2 listings"));
    let few = ScrapeRequest { limit: 2, parameters: json!({ "limit": 2 }), ..request() };
    assert_eq!(scrape(fake.settings(), few).await, (vec!["1".into(), "2".into()], Ok(())));
}

#[tokio::test]
async fn a_silent_server_is_timed_out_and_a_stop_is_heard_at_once() {
    let fake = Fake::start([Answer::Silence, Answer::Silence]).await;
    let after = Duration::from_millis(300);
    let settings = ResoSettings { timeout: after, ..fake.settings() };
    assert_eq!(scrape(settings, request()).await.1, Err(SourceError::TimedOut { after }));
    let source = ResoSource::new(fake.settings());
    let stop = CancellationToken::new();
    let (sender, _receiver) = mpsc::channel(1);
    let stopping = async {
        while fake.seen().len() < 2 {
            tokio::task::yield_now().await;
        }
        stop.cancel();
    };
    let (outcome, ()) = tokio::join!(source.scrape(request(), sender, stop.clone()), stopping);
    assert_eq!(outcome.result, Err(SourceError::Stopped));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told() {
    let nowhere = "url = 'http://127.0.0.1:1/'\ntoken = 'secret'\ntimeout = '30s'";
    let said = reason(scrape(toml::from_str(nowhere).unwrap(), request()).await.1);
    assert!(said.contains("cannot be reached") && !said.contains("secret"), "{said}");
}

#[tokio::test]
async fn a_refused_token_breaks_the_source_and_an_expired_one_is_renewed_once() {
    for code in [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN] {
        let fake = Fake::start([status(code, "")]).await;
        assert!(matches!(fake.scrape().await.1, Err(SourceError::Broken { .. })));
    }
    let token = |token: &str| {
        let granted = json!({ "access_token": token, "expires_in": 3600 });
        Answer::Status(StatusCode::OK, "", granted.to_string())
    };
    let refused = || status(StatusCode::UNAUTHORIZED, "");
    let fake =
        Fake::start([token("a"), refused(), token("b"), page(&["1"], None), page(&["2"], None)])
            .await;
    let oauth2 = format!(
        "url = '{0}'\n[oauth2]\ntoken_url = '{0}/token'\nclient_id = 'me'\nclient_secret = 'hush'",
        fake.root
    );
    let source = ResoSource::new(toml::from_str(&oauth2).unwrap());
    for expected in ["1", "2"] {
        let (sender, mut receiver) = mpsc::channel(4);
        let outcome = source.scrape(request(), sender, CancellationToken::new()).await;
        assert_eq!(outcome.result, Ok(()));
        assert_eq!(receiver.recv().await.unwrap().property_id, expected);
    }
    let seen: Vec<String> =
        fake.seen().iter().map(|line| line.rsplit(' ').next().unwrap().to_owned()).collect();
    assert_eq!(seen, ["", "a", "", "b", "b"], "the second location uses the kept token");
    let fake = Fake::start([token("a"), refused(), token("b"), refused()]).await;
    let settings: ResoSettings =
        toml::from_str(&oauth2.replace(fake_root(&oauth2), fake.root.as_str())).unwrap();
    assert!(matches!(scrape(settings, request()).await.1, Err(SourceError::Broken { .. })));
}

fn fake_root(settings: &str) -> &str {
    settings.split('\'').nth(1).unwrap()
}
