//! The response of a token server, which takes many liberties with RFC 6749, section 5.

use std::time::Duration;

use serde_json::Value;
use windrow_worker::Secrets;

use super::http::{not_json, shortened};

/// Lifetime of a token if the server does not say it, or says something impossible.
const DEFAULT_LIFETIME: Duration = Duration::from_mins(5);
/// Longest time without a new token; servers that say more are believed this much.
const MAX_LIFETIME: Duration = Duration::from_hours(24);
/// A token is renewed this long before it expires.
const MARGIN: Duration = Duration::from_mins(1);
/// Error codes after which a retry may succeed (RFC 6749, section 4.1.2.1, and what is seen in the field).
const TRANSIENT: [&str; 4] =
    ["temporarily_unavailable", "server_error", "slow_down", "rate_limit_exceeded"];

/// A token and the time for which it is used.
#[derive(Debug, PartialEq)]
pub(super) struct Granted {
    pub(super) token: String,
    pub(super) usable: Duration,
}

/// The reason why a response contains no token.
#[derive(Debug, PartialEq)]
pub(super) struct Refused {
    pub(super) reason: String,
    pub(super) transient: bool,
}

/// Reads the body of a response with a status of success.
pub(super) fn granted(body: &[u8], secrets: &Secrets) -> Result<Granted, Refused> {
    let refused = |reason: String, transient| {
        let reason = secrets.hide(&reason);
        Err(Refused { reason: format!("the token server sent no token: {reason}"), transient })
    };
    let response: Value = match serde_json::from_slice(body) {
        Ok(response) => response,
        Err(error) => return refused(not_json(body, &error), false),
    };
    if let Some((reason, transient)) = oauth_error(&response) {
        return refused(reason, transient);
    }
    let token = match response.get("access_token").map(Value::as_str) {
        None => return refused("access_token is missing".to_owned(), false),
        Some(None) => return refused("access_token is not a string".to_owned(), false),
        Some(Some(token)) => token.trim(),
    };
    if token.is_empty() || !token.chars().all(|c| c.is_ascii_graphic()) {
        let reason = "access_token is empty or has characters that no header can have";
        return refused(reason.to_owned(), false);
    }
    let lifetime = lifetime(response.get("expires_in"));
    let usable = lifetime.saturating_sub(MARGIN.min(lifetime / 2));
    Ok(Granted { token: token.to_owned(), usable })
}

/// The error of a response (RFC 6749, section 5.2), some of which have the status 200; whether it is
/// transient.
pub(super) fn oauth_error(response: &Value) -> Option<(String, bool)> {
    let code = response.get("error").filter(|error| !error.is_null())?;
    let description = response.get("error_description").or_else(|| code.get("message"));
    let texts = [code.as_str(), description.and_then(Value::as_str)];
    let texts: Vec<&str> = texts.into_iter().flatten().collect();
    let text = if texts.is_empty() { code.to_string() } else { texts.join(": ") };
    let transient = code.as_str().is_some_and(|code| TRANSIENT.contains(&code));
    Some((text, transient))
}

/// A number of seconds, or a text with one.
fn lifetime(expires_in: Option<&Value>) -> Duration {
    let seconds = match expires_in {
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        Some(_) | None => None,
    };
    let seconds = seconds.filter(|seconds: &f64| *seconds > 0.0);
    let seconds = seconds.map(|seconds| seconds.min(MAX_LIFETIME.as_secs_f64()));
    seconds.and_then(|s| Duration::try_from_secs_f64(s).ok()).unwrap_or(DEFAULT_LIFETIME)
}

/// The reason for a response without a status of success.
pub(super) fn failure(status: reqwest::StatusCode, body: &[u8], secrets: &Secrets) -> Refused {
    let error = serde_json::from_slice(body).ok().and_then(|body| oauth_error(&body));
    let (text, named_transient) = match error {
        Some((text, transient)) => (Some(text), transient),
        None => (super::page::error_message(body, secrets), false),
    };
    let text = text.map(|text| format!(": {}", shortened(&secrets.hide(&text))));
    let reason = format!("the token server responded {status}{}", text.unwrap_or_default());
    let transient = named_transient
        || status.is_server_error()
        || status == reqwest::StatusCode::TOO_MANY_REQUESTS
        || status == reqwest::StatusCode::REQUEST_TIMEOUT;
    Refused { reason, transient }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn usable(expires_in: &Value) -> u64 {
        let body = json!({ "access_token": "abc", "expires_in": expires_in }).to_string();
        granted(body.as_bytes(), &Secrets::default()).unwrap().usable.as_secs()
    }

    #[test]
    fn any_lifetime_is_understood_and_bounded() {
        for whole in [json!(3600), json!("3600"), json!(3600.0), json!(" 3600.9 "), json!(3.6e3)] {
            assert_eq!(usable(&whole), 3_540, "{whole}");
        }
        for odd in [json!(-1), json!(0), json!(null), json!("soon"), json!("nan"), json!([])] {
            assert_eq!(usable(&odd), 240, "{odd}");
        }
        for huge in [json!(i64::MAX), json!(u64::MAX), json!(1e300), json!("inf")] {
            assert_eq!(usable(&huge), 24 * 3_600 - 60, "{huge}");
        }
        assert_eq!(usable(&json!(30)), 15, "a short one is not renewed for every page");
        let missing = granted(br#"{"access_token":"abc"}"#, &Secrets::default()).unwrap();
        assert_eq!((missing.token.as_str(), missing.usable.as_secs()), ("abc", 240));
    }

    #[test]
    fn the_true_reason_is_given_without_secrets() {
        let secrets = Secrets::default();
        secrets.remember("hush-hush");
        let check = |body: &str, expected: &str, transient| {
            let refused = granted(body.as_bytes(), &secrets).unwrap_err();
            let reason = refused.reason.strip_prefix("the token server sent no token: ");
            assert_eq!((reason, refused.transient), (Some(expected), transient));
        };
        let echo =
            r#"{"error":"invalid_client","error_description":"client_secret=hush-hush&a=b"}"#;
        check(echo, "invalid_client: client_secret=***&a=b", false);
        check(r#"{"error":"slow_down"}"#, "slow_down", true);
        check(r#"{"error":{"message":"no such realm"}}"#, "no such realm", false);
        check(r#"{"error":{"code":7}}"#, r#"{"code":7}"#, false);
        check("", "the response is empty", false);
        let html = "the response is not JSON but HTML or XML: Sign in";
        check("<html><title>Sign in</title>", html, false);
        check("{}", "access_token is missing", false);
        check("[]", "access_token is missing", false);
        check(r#"{"access_token":7}"#, "access_token is not a string", false);
        let header = "access_token is empty or has characters that no header can have";
        check(r#"{"access_token":"a\nb"}"#, header, false);
        check(r#"{"access_token":" "}"#, header, false);
    }
}
