//! HTTP without a protocol on top: the client, bodies of bounded size, and faults in words.

use std::time::Duration;

use chrono::DateTime;
use reqwest::header::{ACCEPT, CONTENT_ENCODING, DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, redirect};
use windrow_worker::error_chain;

use crate::sources::SourceError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const READ_TIMEOUT: Duration = Duration::from_mins(1);
/// Longest text of a service in a reason, in characters.
const TEXT_LENGTH: usize = 300;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

pub(super) fn client() -> Result<Client, SourceError> {
    // Fails only if a provider is installed already.
    rustls::crypto::ring::default_provider().install_default().ok();
    let accept = [(ACCEPT, HeaderValue::from_static("application/json"))];
    Client::builder()
        .default_headers(HeaderMap::from_iter(accept))
        .user_agent(concat!("windrow/", env!("CARGO_PKG_VERSION")))
        // A redirect would send the token to another server, or hide wrong settings.
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .build()
        .map_err(|error| SourceError::broken(format!("failed to build the HTTP client: {error}")))
}

/// The reason why a body cannot be read.
pub(super) enum BodyError {
    Broken(reqwest::Error),
    /// Every response of this kind would fail.
    Unreadable(String),
}

/// Reads a body of at most `limit` bytes, counted after decompression: an endless one, or a small one that
/// expands, must not fill the memory. Removes a byte order mark.
pub(super) async fn read(mut response: Response, limit: usize) -> Result<Vec<u8>, BodyError> {
    // The client has removed the header if it decompresses the body.
    if let Some(encoding) = response.headers().get(CONTENT_ENCODING)
        && encoding != "identity"
    {
        let encoding = String::from_utf8_lossy(encoding.as_bytes());
        let encoding = shortened(&encoding);
        return Err(BodyError::Unreadable(format!(
            "the response has the content encoding {encoding}; supported are gzip, deflate and brotli"
        )));
    }
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(BodyError::Broken)? {
        if body.len() + piece.len() > limit {
            let reason = format!("the response has more than {limit} bytes");
            return Err(BodyError::Unreadable(reason));
        }
        body.extend_from_slice(&piece);
    }
    if body.starts_with(BYTE_ORDER_MARK) {
        body.drain(..BYTE_ORDER_MARK.len());
    }
    Ok(body)
}

/// Whether the service is up, or restarts, and asks for patience.
pub(super) fn is_busy(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

/// The causes on one line, without reqwest's own text: it contains the address, which may hold secrets.
/// `server` names it, for example "the server".
pub(super) fn describe(server: &str, error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("{server} timed out");
    }
    let failure =
        if error.is_decode() { "failed to decode the response of" } else { "failed to reach" };
    match std::error::Error::source(error) {
        Some(cause) => format!("{failure} {server}: {}", error_chain(cause)),
        None => format!("{failure} {server}"),
    }
}

/// `Retry-After` in seconds or as a date by the server's clock (RFC 9110, section 10.2.3).
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::trim);
    let after = text(RETRY_AFTER)?;
    if let Ok(seconds) = after.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = DateTime::parse_from_rfc2822(after).ok()?;
    let now = DateTime::parse_from_rfc2822(text(DATE)?).ok()?;
    Some((at - now).to_std().unwrap_or_default())
}

/// The reason for a body that should be JSON.
pub(super) fn not_json(body: &[u8], error: &serde_json::Error) -> String {
    let text = String::from_utf8_lossy(body);
    match text.trim_start().chars().next() {
        None => "the response is empty".to_owned(),
        Some('<') => match html_title(&text) {
            Some(title) => format!("the response is not JSON but HTML or XML: {title}"),
            None => "the response is not JSON but HTML or XML".to_owned(),
        },
        Some('{' | '[') => format!("the response is not a JSON object: {error}"),
        Some(_) => format!("the response is not JSON: {}", shortened(&text)),
    }
}

/// The title of a page, which is often the only useful text of a proxy's or login page.
pub(super) fn html_title(text: &str) -> Option<String> {
    let start = text.to_ascii_lowercase().find("<title")?;
    let (_, rest) = text.get(start..)?.split_once('>')?;
    let (title, _) = rest.split_once('<')?;
    let title = shortened(title);
    (!title.is_empty()).then_some(title)
}

/// The beginning of a service's text, on one line.
pub(super) fn shortened(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().take(TEXT_LENGTH).collect();
    words.join(" ").chars().filter(|c| !c.is_control()).take(TEXT_LENGTH).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_time_by_the_servers_clock() {
        let check = |text: &str, seconds: Option<u64>| {
            let date = "Wed, 21 Oct 2015 07:28:00 GMT";
            let headers = [(RETRY_AFTER, text), (DATE, date)];
            let headers = headers.map(|(name, value)| (name, value.parse().unwrap()));
            let headers = HeaderMap::from_iter(headers);
            assert_eq!(retry_after(&headers), seconds.map(Duration::from_secs), "{text}");
        };
        check("120", Some(120));
        check("Wed, 21 Oct 2015 07:29:30 GMT", Some(90));
        check("Wed, 21 Oct 2015 07:00:00 GMT", Some(0));
        check("soon", None);
    }

    #[test]
    fn a_body_that_is_not_json_is_described() {
        let check = |body: &str, expected: &str| {
            let error = serde_json::from_str::<serde_json::Value>(body).unwrap_err();
            assert_eq!(not_json(body.as_bytes(), &error), expected);
        };
        check(" \n", "the response is empty");
        check(
            "<!doctype html><TITLE>Sign\n in</TITLE>",
            "the response is not JSON but HTML or XML: Sign in",
        );
        check("<x/>", "the response is not JSON but HTML or XML");
        check("Bad\tgateway", "the response is not JSON: Bad gateway");
        let trailing = "the response is not a JSON object: trailing characters at line 1 column 3";
        check("{}{", trailing);
    }
}
