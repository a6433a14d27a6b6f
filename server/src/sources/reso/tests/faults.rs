//! Failures of a server, limits, and tokens.

use super::*;

#[tokio::test]
async fn transient_faults_are_retried() {
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
async fn retry_after_is_honored() {
    let begin = Instant::now();
    let fake =
        Fake::start([status(StatusCode::TOO_MANY_REQUESTS, "retry-after: 2"), page(&["1"], None)])
            .await;
    assert_eq!(fake.scrape().await.1, Ok(()));
    assert!(begin.elapsed() >= Duration::from_secs(2));
    let fake = Fake::start([status(StatusCode::TOO_MANY_REQUESTS, "retry-after: 3600")]).await;
    let message = reason(fake.scrape().await.1);
    assert!(message.contains("429") && message.contains("requests a pause of 1h"), "{message}");
}

#[tokio::test]
async fn permanent_faults_fail_the_location_with_the_servers_message() {
    let check = async |answers: Vec<Answer>, expected: &[&str], tries: usize| {
        let fake = Fake::start(answers).await;
        let message = reason(fake.scrape().await.1);
        assert!(expected.iter().all(|part| message.contains(part)), "{message}");
        assert_eq!(fake.seen().len(), tries, "{message}");
    };
    let broken = (0..9).map(|_| status(StatusCode::INTERNAL_SERVER_ERROR, ""));
    check(broken.collect(), &["500", "what it says", "5 tries"], 5).await;
    // Also tried without the page size, without the order, and without both.
    let bad = (0..9).map(|_| status(StatusCode::BAD_REQUEST, ""));
    check(bad.collect(), &["400", "what it says"], 4).await;
    check(vec![status(StatusCode::NOT_FOUND, "")], &["404", "what it says"], 1).await;
    let elsewhere = status(StatusCode::FOUND, "location: http://127.0.0.1:1/login?a=b");
    check(vec![elsewhere], &["302", "redirects to http://127.0.0.1:1 are not followed"], 1).await;
    let text = |text: &str| vec![Answer::Status(StatusCode::OK, "", text.to_owned())];
    check(text("<html>"), &["page 1: the response is not JSON but HTML"], 1).await;
    check(text(""), &["page 1: the response is empty"], 1).await;
    check(text("{\"value\": []}]"), &["page 1: the response is not", "trailing characters"], 1)
        .await;
    check(text("{\"error\": {\"message\": \"no luck\"}}"), &["page 1: no luck"], 1).await;
    check(text("{}"), &["page 1: has no list named value"], 1).await;
    check(text("{\"value\": [1]}"), &["page 1: listing 1: not a JSON object"], 1).await;
    check(
        text("{\"value\": [{\"ListPrice\": 1}]}"),
        &["page 1: listing 1: ListingKey is missing"],
        1,
    )
    .await;
    check(vec![page(&["1"], Some("https://evil.example/"))], &["another server"], 1).await;
    check(vec![Answer::Endless], &["the response has more than 33554432 bytes"], 1).await;
}

#[tokio::test]
async fn listings_before_a_fault_are_kept() {
    let fake =
        Fake::start([page(&["1", "2"], Some("?a=b")), status(StatusCode::NOT_FOUND, "")]).await;
    let (ids, result) = fake.scrape().await;
    assert_eq!(ids, ["1", "2"]);
    assert!(result.is_err());
}

#[tokio::test]
async fn more_than_the_maximum_is_a_failure_unless_the_run_has_a_limit() {
    let all = || page(&["1", "2", "3"], None);
    let fake = Fake::start([all(), all()]).await;
    let (ids, result) = scrape(fake.settings(), ScrapeRequest { limit: 2, ..request() }).await;
    assert_eq!(ids, ["1", "2"]);
    assert!(reason(result).contains("has more than 2 listings"));
    let few = ScrapeRequest { limit: 2, parameters: json!({ "limit": 2 }), ..request() };
    assert_eq!(scrape(fake.settings(), few).await, (vec!["1".into(), "2".into()], Ok(())));
}

#[tokio::test]
async fn a_silent_server_times_out_and_a_stop_takes_effect_at_once() {
    let fake = Fake::start([Answer::Silence, Answer::Silence]).await;
    let after = Duration::from_millis(300);
    let settings = ResoSettings { timeout: after, ..fake.settings() };
    assert_eq!(scrape(settings, request()).await.1, Err(SourceError::TimedOut { after }));
    let source = ResoSource::new(fake.settings());
    let stop = CancellationToken::new();
    let (task, _output) = Task::new(request());
    let stopping = async {
        while fake.seen().len() < 2 {
            tokio::task::yield_now().await;
        }
        stop.cancel();
    };
    let (result, ()) = tokio::join!(windrow_worker::scrape(&source, task, &stop), stopping);
    assert_eq!(result, Err(SourceError::Stopped));
}

#[tokio::test]
async fn an_unreachable_server_fails_the_location() {
    let nowhere = "url = 'http://127.0.0.1:1/'\ntoken = 'secret'\ntimeout = '30s'";
    let message = reason(scrape(toml::from_str(nowhere).unwrap(), request()).await.1);
    assert!(message.contains("failed to reach") && !message.contains("secret"), "{message}");
}

#[tokio::test]
async fn a_throttled_location_waits_with_a_line_in_the_log_and_can_be_stopped() {
    let busy = || status(StatusCode::TOO_MANY_REQUESTS, "");
    let fake = Fake::start([busy(), busy(), page(&["1"], None)]).await;
    let source = ResoSource::new(fake.settings());
    let (ids, result, log) = scrape_with_log(&source, request()).await;
    assert_eq!((ids, result), (vec!["1".to_owned()], Ok(())));
    assert_eq!(log.len(), 2);
    let begin = "the server responded 429 Too Many Requests: what it says; waiting ";
    assert!(log.iter().all(|line| line.starts_with(begin)), "{log:?}");

    let fake = Fake::start([status(StatusCode::TOO_MANY_REQUESTS, "retry-after: 15")]).await;
    let (source, stop) = (ResoSource::new(fake.settings()), CancellationToken::new());
    let (task, mut output) = Task::new(request());
    let begin = Instant::now();
    let stopping = async {
        output.next().await.unwrap();
        stop.cancel();
    };
    let (result, ()) = tokio::join!(windrow_worker::scrape(&source, task, &stop), stopping);
    assert_eq!(result, Err(SourceError::Stopped));
    assert!(begin.elapsed() < Duration::from_secs(10));
}

/// A server that writes header lines without an end.
fn endless_head() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let line = format!("x: {}\r\n", "y".repeat(1_000));
            let mut written = std::io::Write::write_all(&mut stream, b"HTTP/1.1 200 OK\r\n");
            while written.is_ok() {
                written = std::io::Write::write_all(&mut stream, line.as_bytes());
            }
        }
    });
    format!("http://{address}")
}

#[tokio::test]
async fn a_head_without_an_end_is_a_fault() {
    let text = format!("url = '{}'\ntoken = 'secret'\ntimeout = '3s'", endless_head());
    let message = reason(scrape(toml::from_str(&text).unwrap(), request()).await.1);
    assert!(message.starts_with("failed to reach the server: "), "{message}");
}

#[tokio::test]
async fn a_listing_of_many_bytes_is_rejected() {
    let listing = json!({ "ListingKey": "1", "x": vec![1; 600_000] });
    let body = json!({ "value": [listing] }).to_string();
    let fake = Fake::start([Answer::Status(StatusCode::OK, "", body)]).await;
    let message = reason(fake.scrape().await.1);
    assert!(message.starts_with("page 1: listing 1: has 1200"), "{message}");
}
