//! Bearer tokens: from the settings, from a file, or by OAuth 2.0 client credentials.

use std::path::Path;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;
use windrow_worker::Secrets;

use super::http::{self, BodyError, describe};
use super::patience::{Kind, Transient};
use super::token::{self, Granted};
use super::{OAuth2Settings, ResoSettings};

/// Maximum bytes of a token server's response; a large JSON Web Token has some KiB.
const RESPONSE_BYTES: usize = 256 * 1024;
/// Total time of a request for a token.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The name of the server in reasons.
const SERVER: &str = "the token server";

/// Provides tokens and caches the last one.
pub(super) struct Auth {
    settings: ResoSettings,
    secrets: Secrets,
    /// Locked during a request, so that concurrent locations share its token.
    cached: Mutex<Option<CachedToken>>,
}

struct CachedToken {
    token: String,
    valid_until: Instant,
}

/// The reason why there is no token.
pub(super) enum AuthError {
    /// A retry may succeed.
    Transient(Transient),
    /// The settings are wrong.
    Broken(String),
}

impl Auth {
    pub(super) fn new(settings: ResoSettings, secrets: Secrets) -> Self {
        Self { settings, secrets, cached: Mutex::new(None) }
    }

    /// A token that should be valid.
    pub(super) async fn token(&self, client: &reqwest::Client) -> Result<String, AuthError> {
        if let Some(token) = &self.settings.token {
            return Ok(token.clone());
        }
        if let Some(file) = &self.settings.token_file {
            return self.read_secret(file).await;
        }
        let Some(oauth2) = &self.settings.oauth2 else {
            return Err(AuthError::Broken("no token is configured".to_owned()));
        };
        let mut cached = self.cached.lock().await;
        if let Some(cached) = cached.as_ref().filter(|cached| Instant::now() < cached.valid_until) {
            return Ok(cached.token.clone());
        }
        let Granted { token, usable } = self.request_token(client, oauth2).await?;
        self.secrets.remember(&token);
        *cached = Some(CachedToken { token: token.clone(), valid_until: Instant::now() + usable });
        Ok(token)
    }

    /// Discards a token that the server rejected; whether a new one can be requested.
    pub(super) async fn discard(&self, token: &str) -> bool {
        let mut cached = self.cached.lock().await;
        if cached.as_ref().is_some_and(|cached| cached.token == token) {
            *cached = None;
        }
        self.settings.oauth2.is_some()
    }

    async fn request_token(
        &self,
        client: &reqwest::Client,
        oauth2: &OAuth2Settings,
    ) -> Result<Granted, AuthError> {
        let secret = match (&oauth2.client_secret, &oauth2.client_secret_file) {
            (Some(given), _) => given.clone(),
            (None, Some(file)) => self.read_secret(file).await?,
            (None, None) => {
                return Err(AuthError::Broken("no client_secret is configured".to_owned()));
            }
        };
        let mut form = vec![
            ("grant_type", "client_credentials"),
            ("client_id", &oauth2.client_id),
            ("client_secret", &secret),
        ];
        if let Some(scope) = &oauth2.scope {
            form.push(("scope", scope));
        }
        let request = client.post(oauth2.token_url.clone()).form(&form).timeout(TIMEOUT);
        let response = request.send().await.map_err(|error| unreachable(&error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = http::read(response, RESPONSE_BYTES).await.map_err(|error| match error {
            BodyError::Broken(error) => unreachable(&error),
            BodyError::Unreadable(reason) => AuthError::Broken(format!("{SERVER}: {reason}")),
        })?;
        let granted = if status.is_success() {
            token::granted(&body, &self.secrets)
        } else {
            Err(token::failure(status, &body, &self.secrets))
        };
        granted.map_err(|refused| {
            if !refused.transient {
                return AuthError::Broken(refused.reason);
            }
            let retry_after = http::retry_after(&headers);
            let is_broken = status.is_server_error() && !http::is_busy(status);
            let kind = if is_broken { Kind::Broken } else { Kind::Busy { retry_after } };
            AuthError::Transient(Transient { reason: refused.reason, kind })
        })
    }

    async fn read_secret(&self, file: &Path) -> Result<String, AuthError> {
        let text = tokio::fs::read_to_string(file).await;
        let unreadable =
            |error| AuthError::Broken(format!("failed to read {}: {error}", file.display()));
        let secret = text.map_err(unreadable)?.trim().to_owned();
        self.secrets.remember(&secret);
        Ok(secret)
    }
}

fn unreachable(error: &reqwest::Error) -> AuthError {
    AuthError::Transient(Transient { reason: describe(SERVER, error), kind: Kind::Broken })
}
