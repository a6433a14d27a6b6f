//! Fetches a page: with a token, a size limit, and patience with a service that fails or throttles.

use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::header::LOCATION;
use reqwest::{Client, StatusCode};
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep};
use url::Url;
use windrow_worker::{Level, Secrets};

use super::ResoSettings;
use super::auth::{Auth, AuthError};
use super::http::{self, BodyError, describe};
use super::page::error_message;
use super::patience::{Kind, Patience, Transient, shown};
use crate::sources::{SourceError, Task};

/// Maximum bytes of a page: two hundred listings of 160 KiB each. A few pages fit into the memory.
const PAGE_BYTES: usize = 32 * 1024 * 1024;
const SERVER: &str = "the server";

pub(super) struct Fetcher {
    settings: ResoSettings,
    secrets: Secrets,
    auth: Auth,
    client: OnceCell<Client>,
    /// The service has refused a request because of the preferred page size.
    refuses_preference: AtomicBool,
}

/// The reason why there is no page.
pub(super) enum FetchError {
    /// The service does not accept this request; it may accept another one.
    Refused(String),
    Failed(SourceError),
}

/// A failed request.
enum Fault {
    Transient(Transient),
    /// The token was rejected.
    Unauthorized {
        token: String,
        reason: String,
    },
    Refused(String),
    /// A retry would fail as well.
    Failed(SourceError),
}

impl Fetcher {
    pub(super) fn new(settings: ResoSettings, secrets: Secrets) -> Self {
        let auth = Auth::new(settings.clone(), secrets.clone());
        let client = OnceCell::new();
        Self { settings, secrets, auth, client, refuses_preference: AtomicBool::new(false) }
    }

    /// The body of a page. Every pause is in the task's log.
    pub(super) async fn get(
        &self,
        task: &Task,
        url: &Url,
        deadline: Instant,
    ) -> Result<Vec<u8>, FetchError> {
        let prefers =
            self.settings.page_size > 0 && !self.refuses_preference.load(Ordering::Relaxed);
        let refused = match self.get_with(task, url, prefers, deadline).await {
            Err(FetchError::Refused(reason)) if prefers => reason,
            answered => return answered,
        };
        match self.get_with(task, url, false, deadline).await {
            Ok(body) => {
                self.refuses_preference.store(true, Ordering::Relaxed);
                task.log(format!("{refused}; reading pages of the size that the server chooses"));
                Ok(body)
            }
            Err(FetchError::Refused(_)) => Err(FetchError::Refused(refused)),
            Err(failed @ FetchError::Failed(_)) => Err(failed),
        }
    }

    async fn get_with(
        &self,
        task: &Task,
        url: &Url,
        prefers: bool,
        deadline: Instant,
    ) -> Result<Vec<u8>, FetchError> {
        let client = self.client.get_or_try_init(|| async { http::client() });
        let client = client.await.map_err(FetchError::Failed)?;
        let mut token_renewed = false;
        let mut patience = Patience::until(deadline);
        loop {
            let fault = match self.get_once(client, url, prefers).await {
                Ok(body) => return Ok(body),
                Err(fault) => fault,
            };
            match fault {
                Fault::Refused(reason) => return Err(FetchError::Refused(reason)),
                Fault::Failed(error) => return Err(FetchError::Failed(error)),
                Fault::Unauthorized { token, reason } => {
                    if token_renewed || !self.auth.discard(&token).await {
                        return Err(FetchError::Failed(SourceError::broken(reason)));
                    }
                    token_renewed = true;
                }
                Fault::Transient(fault) => {
                    let pause = patience.pause(&fault).map_err(FetchError::Failed)?;
                    let text = format!("{}; waiting {}", fault.reason, shown(pause));
                    task.log_at(Level::Warning, text);
                    sleep(pause).await;
                }
            }
        }
    }

    async fn get_once(&self, client: &Client, url: &Url, prefers: bool) -> Result<Vec<u8>, Fault> {
        let token = self.auth.token(client).await.map_err(Fault::from)?;
        let mut request = client.get(url.clone()).bearer_auth(&token);
        if prefers {
            let size = self.settings.page_size;
            request = request.header("Prefer", format!("odata.maxpagesize={size}"));
        }
        let response = request.send().await.map_err(|error| unreachable(&error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = http::read(response, PAGE_BYTES).await?;
        if status.is_success() {
            return Ok(body);
        }
        let message = error_message(&body, &self.secrets);
        let message = message.map(|text| format!(": {text}")).unwrap_or_default();
        let reason = format!("{SERVER} responded {status}{message}");
        if status.is_redirection() {
            let target =
                headers.get(LOCATION).and_then(|target| url.join(target.to_str().ok()?).ok());
            let target = target.map_or_else(String::new, |to| format!(" to {}", origin(&to)));
            return Err(Fault::Failed(SourceError::failed(format!(
                "{reason}, but redirects{target} are not followed; correct the url of the source"
            ))));
        }
        Err(match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Fault::Unauthorized { token, reason }
            }
            status if http::is_busy(status) => {
                let kind = Kind::Busy { retry_after: http::retry_after(&headers) };
                Fault::Transient(Transient { reason, kind })
            }
            StatusCode::REQUEST_TIMEOUT => {
                Fault::Transient(Transient { reason, kind: Kind::Broken })
            }
            // The request has an option that the service does not support, or it is too long.
            StatusCode::BAD_REQUEST
            | StatusCode::NOT_ACCEPTABLE
            | StatusCode::PRECONDITION_FAILED
            | StatusCode::URI_TOO_LONG
            | StatusCode::EXPECTATION_FAILED
            | StatusCode::NOT_IMPLEMENTED => Fault::Refused(reason),
            status if status.is_server_error() => {
                Fault::Transient(Transient { reason, kind: Kind::Broken })
            }
            _ => Fault::Failed(SourceError::permanent(reason)),
        })
    }
}

fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

fn unreachable(error: &reqwest::Error) -> Fault {
    Fault::Transient(Transient { reason: describe(SERVER, error), kind: Kind::Broken })
}

impl From<AuthError> for Fault {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Transient(fault) => Self::Transient(fault),
            AuthError::Broken(reason) => Self::Failed(SourceError::broken(reason)),
        }
    }
}

impl From<BodyError> for Fault {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Broken(error) => unreachable(&error),
            BodyError::Unreadable(reason) => Self::Failed(SourceError::failed(reason)),
        }
    }
}
