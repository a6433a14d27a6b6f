//! Bearer tokens: from the settings, from a file, or by OAuth 2.0 client credentials.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::page::error_message;
use super::{OAuth2Settings, ResoSettings};

/// A token is renewed this long before it expires.
const MARGIN: Duration = Duration::from_mins(1);
/// Seconds that a token is valid if the server does not send `expires_in`.
const DEFAULT_LIFETIME: u64 = 300;

/// Provides tokens and caches the last one.
pub(super) struct Auth {
    settings: ResoSettings,
    /// Locked during a request, so that concurrent locations share its token.
    cached: Mutex<Option<CachedToken>>,
}

struct CachedToken {
    token: String,
    valid_until: Instant,
}

#[derive(Deserialize)]
struct TokenResponse {
    access_token: String,
    #[serde(default)]
    expires_in: Option<u64>,
}

impl Auth {
    pub(super) fn new(settings: ResoSettings) -> Self {
        Self { settings, cached: Mutex::new(None) }
    }

    /// A token that should be valid.
    pub(super) async fn token(&self, client: &reqwest::Client) -> Result<String, AuthError> {
        if let Some(token) = &self.settings.token {
            return Ok(token.clone());
        }
        if let Some(file) = &self.settings.token_file {
            return read_secret(file).await;
        }
        let Some(oauth2) = &self.settings.oauth2 else {
            return Err(AuthError::Broken("no token is configured".to_owned()));
        };
        let mut cached = self.cached.lock().await;
        if let Some(cached) = cached.as_ref().filter(|cached| Instant::now() < cached.valid_until) {
            return Ok(cached.token.clone());
        }
        let response = request_token(client, oauth2).await?;
        let lifetime = Duration::from_secs(response.expires_in.unwrap_or(DEFAULT_LIFETIME));
        let valid_until = Instant::now() + lifetime.saturating_sub(MARGIN);
        *cached = Some(CachedToken { token: response.access_token.clone(), valid_until });
        Ok(response.access_token)
    }

    /// Discards a token that the server rejected; whether a new one can be requested.
    pub(super) async fn discard(&self, token: &str) -> bool {
        let mut cached = self.cached.lock().await;
        if cached.as_ref().is_some_and(|cached| cached.token == token) {
            *cached = None;
        }
        self.settings.oauth2.is_some()
    }
}

/// The reason why there is no token.
pub(super) enum AuthError {
    /// The token server cannot be reached; a retry may succeed.
    Unreachable(reqwest::Error),
    /// The token server failed; a retry may succeed.
    Transient(String),
    /// The settings are wrong.
    Broken(String),
}

async fn request_token(
    client: &reqwest::Client,
    oauth2: &OAuth2Settings,
) -> Result<TokenResponse, AuthError> {
    let secret = match (&oauth2.client_secret, &oauth2.client_secret_file) {
        (Some(given), _) => given.clone(),
        (None, Some(file)) => read_secret(file).await?,
        (None, None) => return Err(AuthError::Broken("no client_secret is configured".to_owned())),
    };
    let mut form = vec![
        ("grant_type", "client_credentials"),
        ("client_id", &oauth2.client_id),
        ("client_secret", &secret),
    ];
    if let Some(scope) = &oauth2.scope {
        form.push(("scope", scope));
    }
    let response = client.post(oauth2.token_url.clone()).form(&form).send().await;
    let response = response.map_err(AuthError::Unreachable)?;
    let status = response.status();
    let body = response.bytes().await.map_err(AuthError::Unreachable)?;
    if status.is_success() {
        return serde_json::from_slice(&body).map_err(|_| {
            AuthError::Broken("the token server's response has no access_token".to_owned())
        });
    }
    let message = error_message(&body).map(|text| format!(": {text}")).unwrap_or_default();
    let reason = format!("the token server responded {status}{message}");
    let is_transient = status.is_server_error() || status == reqwest::StatusCode::TOO_MANY_REQUESTS;
    Err(if is_transient { AuthError::Transient(reason) } else { AuthError::Broken(reason) })
}

async fn read_secret(file: &Path) -> Result<String, AuthError> {
    let text = tokio::fs::read_to_string(file).await;
    let unreadable =
        |error| AuthError::Broken(format!("failed to read {}: {error}", file.display()));
    Ok(text.map_err(unreadable)?.trim().to_owned())
}
