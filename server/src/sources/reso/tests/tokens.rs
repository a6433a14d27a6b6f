//! Tokens of OAuth servers, and the secrets that they send back.

use super::*;

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

fn oauth2(fake: &Fake) -> ResoSettings {
    let root = &fake.root;
    let text = format!(
        "url = '{root}'\ntimeout = '20s'\n[oauth2]\ntoken_url = '{root}/token'\nclient_id = 'me'\n\
         client_secret = 'hush+hush/1='"
    );
    toml::from_str(&text).unwrap()
}

fn ok(body: &str) -> Answer {
    Answer::Status(StatusCode::OK, "", body.to_owned())
}

#[tokio::test]
async fn tokens_of_liberal_servers_are_used() {
    for expires_in in ["\"3600\"", "3600.0", "-1", "9223372036854775807", "null", "[]"] {
        let token = format!("\u{feff}{{\"access_token\":\"abc\",\"expires_in\":{expires_in}}}");
        let fake = Fake::start([ok(&token), page(&["1"], Some("?a=b")), page(&["2"], None)]).await;
        let (ids, result) = scrape(oauth2(&fake), request()).await;
        assert_eq!((ids.len(), result), (2, Ok(())), "{expires_in}");
        assert_eq!(fake.seen().len(), 3, "one token is enough: {expires_in}");
    }
}

#[tokio::test]
async fn a_token_server_that_refuses_is_quoted_without_secrets() {
    let echo = "grant_type=client_credentials&client_secret=hush%2Bhush%2F1%3D, or hush+hush/1=";
    let description = format!("{}: bad request {echo}", "x".repeat(250));
    let error = json!({ "error": "invalid_client", "error_description": description }).to_string();
    for status in [StatusCode::OK, StatusCode::UNAUTHORIZED] {
        let fake = Fake::start([Answer::Status(status, "", error.clone())]).await;
        let Err(SourceError::Broken { reason }) = scrape(oauth2(&fake), request()).await.1 else {
            panic!("not broken");
        };
        assert!(reason.contains("invalid_client: xxx"), "{reason}");
        assert!(!reason.contains("hush"), "{reason}");
    }
}

#[tokio::test]
async fn an_endless_response_of_the_token_server_is_cut() {
    let fake = Fake::start([Answer::Endless]).await;
    let Err(SourceError::Broken { reason }) = scrape(oauth2(&fake), request()).await.1 else {
        panic!("not broken");
    };
    assert_eq!(reason, "the token server: the response has more than 262144 bytes");
}

#[tokio::test]
async fn a_token_that_comes_back_is_hidden() {
    let token = r#"{"access_token":"tok-9f8e7d6c"}"#;
    let echo = json!({ "error": { "message": "no access for tok-9f8e7d6c" } }).to_string();
    let fake = Fake::start([ok(token), Answer::Status(StatusCode::NOT_FOUND, "", echo)]).await;
    let message = reason(scrape(oauth2(&fake), request()).await.1);
    assert!(message.ends_with("404 Not Found: no access for ***"), "{message}");
}
