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
    let zero = || status(StatusCode::BAD_GATEWAY, "retry-after: 0");
    let check = async |answers: Vec<Answer>, expected: &[&str], tries: usize| {
        let fake = Fake::start(answers).await;
        let message = reason(fake.scrape().await.1);
        assert!(expected.iter().all(|part| message.contains(part)), "{message}");
        assert_eq!(fake.seen().len(), tries, "{message}");
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
async fn listings_before_a_fault_are_kept() {
    let fake =
        Fake::start([page(&["1", "2"], Some("?a=b")), status(StatusCode::BAD_REQUEST, "")]).await;
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
async fn a_rejected_token_breaks_the_source_and_an_expired_one_is_renewed_once() {
    for code in [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN] {
        let fake = Fake::start([status(code, "")]).await;
        assert!(matches!(fake.scrape().await.1, Err(SourceError::Broken { .. })));
    }
    let token = |token: &str| {
        let granted = json!({ "access_token": token, "expires_in": 3600 });
        Answer::Status(StatusCode::OK, "", granted.to_string())
    };
    let rejected = || status(StatusCode::UNAUTHORIZED, "");
    let fake =
        Fake::start([token("a"), rejected(), token("b"), page(&["1"], None), page(&["2"], None)])
            .await;
    let oauth2 = format!(
        "url = '{0}'\n[oauth2]\ntoken_url = '{0}/token'\nclient_id = 'me'\nclient_secret = 'hush'",
        fake.root
    );
    let source = ResoSource::new(toml::from_str(&oauth2).unwrap());
    for expected in ["1", "2"] {
        let (task, output) = Task::new(request());
        assert_eq!(source.scrape(&task).await, Ok(()));
        drop(task);
        assert_eq!(collect(output).await.0[0].id, expected);
    }
    let seen: Vec<String> =
        fake.seen().iter().map(|line| line.rsplit(' ').next().unwrap().to_owned()).collect();
    assert_eq!(seen, ["", "a", "", "b", "b"], "the second location uses the kept token");
    let fake = Fake::start([token("a"), rejected(), token("b"), rejected()]).await;
    let settings: ResoSettings =
        toml::from_str(&oauth2.replace(fake_root(&oauth2), fake.root.as_str())).unwrap();
    assert!(matches!(scrape(settings, request()).await.1, Err(SourceError::Broken { .. })));
}

fn fake_root(settings: &str) -> &str {
    settings.split('\'').nth(1).unwrap()
}
