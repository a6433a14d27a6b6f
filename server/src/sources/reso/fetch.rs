//! Getting a page: with a token, a time-out, a size limit, and again where that may help.

use std::time::Duration;

use chrono::DateTime;
use reqwest::header::{ACCEPT, DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, redirect};
use tokio::sync::OnceCell;
use tokio::time::sleep;
use url::Url;

use super::ResoSettings;
use super::auth::{Auth, AuthError};
use super::page::error_message;
use crate::sources::SourceError;

/// A page is asked for so often before its location fails.
const TRIES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A server that asks for more patience than this fails the location; the next run tries again.
const LONGEST_WAIT: Duration = Duration::from_mins(5);
const CONNECT: Duration = Duration::from_secs(10);
/// Silence of a server while it answers.
const SILENCE: Duration = Duration::from_mins(1);
/// A page of ten thousand listings of some KiB each.
const BODY: usize = 64 * 1024 * 1024;

pub(super) struct Fetcher {
    settings: ResoSettings,
    auth: Auth,
    client: OnceCell<Client>,
}

/// Why a try brought no page.
enum Fault {
    /// Another try may work, not before this time if the server said so.
    Passing { reason: String, wait: Option<Duration> },
    /// The token was refused.
    Unauthorized { token: String, reason: String },
    /// No other try will work.
    Lasting(SourceError),
}

impl Fetcher {
    pub(super) fn new(settings: ResoSettings) -> Self {
        Self { auth: Auth::new(settings.clone()), settings, client: OnceCell::new() }
    }

    pub(super) async fn get(&self, url: &Url) -> Result<Vec<u8>, SourceError> {
        let client = self.client.get_or_try_init(|| async { client() }).await?;
        let (mut tries, mut renewed) = (1, false);
        loop {
            let fault = match self.get_once(client, url).await {
                Ok(body) => return Ok(body),
                Err(fault) => fault,
            };
            let (reason, wait) = match fault {
                Fault::Lasting(error) => return Err(error),
                Fault::Unauthorized { token, reason } => {
                    if renewed || !self.auth.refuse(&token).await {
                        return Err(SourceError::Broken { reason });
                    }
                    renewed = true;
                    continue;
                }
                Fault::Passing { reason, wait } => (reason, wait),
            };
            let wait = wait.unwrap_or_else(|| pause(tries));
            if tries == TRIES {
                return Err(failed(format!("{reason} ({TRIES} tries)")));
            }
            if wait > LONGEST_WAIT {
                let wait = humantime::format_duration(wait);
                return Err(failed(format!("{reason}, and asks to wait {wait}")));
            }
            tries += 1;
            sleep(wait).await;
        }
    }

    async fn get_once(&self, client: &Client, url: &Url) -> Result<Vec<u8>, Fault> {
        let token = self.auth.token(client).await.map_err(Fault::from)?;
        let prefer = format!("odata.maxpagesize={}", self.settings.page_size);
        let request = client.get(url.clone()).bearer_auth(&token).header("Prefer", prefer);
        let answer = request.send().await.map_err(|error| lost(&error))?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = read(answer).await?;
        if status.is_success() {
            return Ok(body);
        }
        let said = error_message(&body).map(|said| format!(": {said}")).unwrap_or_default();
        let reason = format!("the server answered {status}{said}");
        Err(match status {
            StatusCode::UNAUTHORIZED => Fault::Unauthorized { token, reason },
            StatusCode::FORBIDDEN => Fault::Lasting(SourceError::Broken { reason }),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
                Fault::Passing { reason, wait: retry_after(&headers) }
            }
            status if status.is_server_error() => {
                Fault::Passing { reason, wait: retry_after(&headers) }
            }
            status if status.is_redirection() => {
                Fault::Lasting(failed(format!("{reason}, which is not followed")))
            }
            _ => Fault::Lasting(SourceError::Failed { reason, permanent: true }),
        })
    }
}

/// A chain of causes as one sentence; the address may hold what nobody should see.
fn told(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "the server did not answer in time".to_owned();
    }
    let mut text = String::from("the server cannot be reached");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn client() -> Result<Client, SourceError> {
    // Fails only if somebody chose one before, which is as good.
    rustls::crypto::ring::default_provider().install_default().ok();
    let accept = [(ACCEPT, HeaderValue::from_static("application/json"))];
    Client::builder()
        .default_headers(HeaderMap::from_iter(accept))
        .user_agent(concat!("windrow/", env!("CARGO_PKG_VERSION")))
        // A redirection would take the token elsewhere, or say that the settings are wrong.
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT)
        .read_timeout(SILENCE)
        .build()
        .map_err(|error| SourceError::Broken { reason: format!("no HTTP client: {error}") })
}

/// The body, piece by piece, so that an endless one does not fill the memory.
async fn read(mut answer: Response) -> Result<Vec<u8>, Fault> {
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(|error| lost(&error))? {
        if body.len() + piece.len() > BODY {
            return Err(Fault::Lasting(failed(format!("a page has more than {BODY} bytes"))));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

fn lost(error: &reqwest::Error) -> Fault {
    Fault::Passing { reason: told(error), wait: None }
}

/// Seconds, or a time as HTTP writes it (RFC 9110, section 10.2.3), by the clock of whoever wrote it.
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

fn pause(tries: u32) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(tries.saturating_sub(1)));
    doubled.min(LONGEST_PAUSE).mul_f64(rand::random_range(0.5..=1.0))
}

fn failed(reason: String) -> SourceError {
    SourceError::failed(reason)
}

impl From<AuthError> for Fault {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Lost(error) => lost(&error),
            AuthError::Trouble(reason) => Self::Passing { reason, wait: None },
            AuthError::Broken(reason) => Self::Lasting(SourceError::Broken { reason }),
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
