//! Fetches a page: with a token, timeouts, a size limit, and retries of transient errors.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use chrono::DateTime;
use reqwest::header::{ACCEPT, DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, redirect};
use tokio::sync::OnceCell;
use tokio::time::sleep;
use url::Url;
use windrow_worker::error_chain;

use super::ResoSettings;
use super::auth::{Auth, AuthError};
use super::page::error_message;
use crate::sources::SourceError;

/// Requests for a page before its location fails.
const TRIES: usize = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// A server that requests a longer pause fails the location; the next run tries again.
const MAX_RETRY_AFTER: Duration = Duration::from_mins(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const READ_TIMEOUT: Duration = Duration::from_mins(1);
/// Maximum bytes of a page: ten thousand listings of some KiB each.
const PAGE_BYTES: usize = 64 * 1024 * 1024;

pub(super) struct Fetcher {
    settings: ResoSettings,
    auth: Auth,
    client: OnceCell<Client>,
}

/// A failed request.
enum Fault {
    /// A retry may succeed, after `retry_after` if the server named a time.
    Transient { reason: String, retry_after: Option<Duration> },
    /// The token was rejected.
    Unauthorized { token: String, reason: String },
    /// A retry would fail as well.
    Permanent(SourceError),
}

impl Fetcher {
    pub(super) fn new(settings: ResoSettings) -> Self {
        Self { auth: Auth::new(settings.clone()), settings, client: OnceCell::new() }
    }

    pub(super) async fn get(&self, url: &Url) -> Result<Vec<u8>, SourceError> {
        let client = self.client.get_or_try_init(|| async { client() }).await?;
        let mut token_renewed = false;
        let mut pauses = pauses();
        loop {
            let fault = match self.get_once(client, url).await {
                Ok(body) => return Ok(body),
                Err(fault) => fault,
            };
            match fault {
                Fault::Permanent(error) => return Err(error),
                Fault::Unauthorized { token, reason } => {
                    if token_renewed || !self.auth.discard(&token).await {
                        return Err(SourceError::broken(reason));
                    }
                    token_renewed = true;
                }
                Fault::Transient { reason, retry_after } => {
                    sleep(pause(&reason, retry_after, pauses.next())?).await;
                }
            }
        }
    }

    async fn get_once(&self, client: &Client, url: &Url) -> Result<Vec<u8>, Fault> {
        let token = self.auth.token(client).await.map_err(Fault::from)?;
        let prefer = format!("odata.maxpagesize={}", self.settings.page_size);
        let request = client.get(url.clone()).bearer_auth(&token).header("Prefer", prefer);
        let response = request.send().await.map_err(|error| unreachable(&error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = read(response).await?;
        if status.is_success() {
            return Ok(body);
        }
        let message = error_message(&body).map(|text| format!(": {text}")).unwrap_or_default();
        let reason = format!("the server responded {status}{message}");
        Err(match status {
            StatusCode::UNAUTHORIZED => Fault::Unauthorized { token, reason },
            StatusCode::FORBIDDEN => Fault::Permanent(SourceError::broken(reason)),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
                Fault::Transient { reason, retry_after: retry_after(&headers) }
            }
            status if status.is_server_error() => {
                Fault::Transient { reason, retry_after: retry_after(&headers) }
            }
            status if status.is_redirection() => Fault::Permanent(SourceError::failed(format!(
                "{reason}, but redirects are not followed"
            ))),
            _ => Fault::Permanent(SourceError::permanent(reason)),
        })
    }
}

/// The causes on one line, without reqwest's own text: it contains the address, which may hold secrets.
fn describe(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "the server timed out".to_owned();
    }
    match std::error::Error::source(error) {
        Some(cause) => format!("failed to reach the server: {}", error_chain(cause)),
        None => "failed to reach the server".to_owned(),
    }
}

fn client() -> Result<Client, SourceError> {
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

/// Reads the body in pieces: an endless one must not fill the memory.
async fn read(mut response: Response) -> Result<Vec<u8>, Fault> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| unreachable(&error))? {
        if body.len() + piece.len() > PAGE_BYTES {
            return Err(Fault::Permanent(SourceError::failed(format!(
                "a page has more than {PAGE_BYTES} bytes"
            ))));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

fn unreachable(error: &reqwest::Error) -> Fault {
    Fault::Transient { reason: describe(error), retry_after: None }
}

/// `Retry-After` in seconds or as a date by the server's clock (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::trim);
    let after = text(RETRY_AFTER)?;
    if let Ok(seconds) = after.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = DateTime::parse_from_rfc2822(after).ok()?;
    let now = DateTime::parse_from_rfc2822(text(DATE)?).ok()?;
    Some((at - now).to_std().unwrap_or_default())
}

fn pauses() -> ExponentialBackoff {
    let builder = ExponentialBuilder::new().with_min_delay(FIRST_PAUSE).with_jitter();
    builder.with_max_times(TRIES - 1).build()
}

/// The pause before the next try; an error if there is none, or the server requests too long a pause.
fn pause(
    reason: &str,
    retry_after: Option<Duration>,
    pause: Option<Duration>,
) -> Result<Duration, SourceError> {
    let Some(pause) = pause else {
        return Err(SourceError::failed(format!("{reason} ({TRIES} tries)")));
    };
    let pause = retry_after.unwrap_or(pause);
    if pause > MAX_RETRY_AFTER {
        let pause = humantime::format_duration(pause);
        return Err(SourceError::failed(format!("{reason}, and requests a pause of {pause}")));
    }
    Ok(pause)
}

impl From<AuthError> for Fault {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Unreachable(error) => unreachable(&error),
            AuthError::Transient(reason) => Self::Transient { reason, retry_after: None },
            AuthError::Broken(reason) => Self::Permanent(SourceError::broken(reason)),
        }
    }
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
}
