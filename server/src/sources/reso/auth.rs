//! Bearer tokens: fixed, from a file, or by OAuth 2.0 client credentials.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::page::error_message;
use super::{OAuth2Settings, ResoSettings};

/// A token is not used any more so long before it expires.
const MARGIN: Duration = Duration::from_mins(1);
/// When the server does not say how long a token lasts.
const LIFETIME: u64 = 300;

/// Where tokens come from, and the last one.
pub(super) struct Auth {
    settings: ResoSettings,
    /// Locked while a token is fetched, so that all who wait get the same.
    kept: Mutex<Option<Kept>>,
}

struct Kept {
    token: String,
    until: Instant,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    #[serde(default)]
    expires_in: Option<u64>,
}

impl Auth {
    pub(super) fn new(settings: ResoSettings) -> Self {
        Self { settings, kept: Mutex::new(None) }
    }

    /// A token that should be good. The error is the transport's or the source's.
    pub(super) async fn token(&self, client: &reqwest::Client) -> Result<String, AuthError> {
        if let Some(token) = &self.settings.token {
            return Ok(token.clone());
        }
        if let Some(file) = &self.settings.token_file {
            return secret(file).await;
        }
        let Some(oauth2) = &self.settings.oauth2 else {
            return Err(AuthError::Broken("no token is configured".to_owned()));
        };
        let mut kept = self.kept.lock().await;
        if let Some(kept) = kept.as_ref().filter(|kept| Instant::now() < kept.until) {
            return Ok(kept.token.clone());
        }
        let granted = grant(client, oauth2).await?;
        let lasts = Duration::from_secs(granted.expires_in.unwrap_or(LIFETIME));
        let until = Instant::now() + lasts.saturating_sub(MARGIN);
        *kept = Some(Kept { token: granted.access_token.clone(), until });
        Ok(granted.access_token)
    }

    /// Forgets a token that was refused; says whether another can be had.
    pub(super) async fn refuse(&self, token: &str) -> bool {
        let mut kept = self.kept.lock().await;
        if kept.as_ref().is_some_and(|kept| kept.token == token) {
            *kept = None;
        }
        self.settings.oauth2.is_some()
    }
}

/// Why there is no token.
pub(super) enum AuthError {
    /// Another try may work.
    Lost(reqwest::Error),
    /// The server is in trouble, with what it said.
    Trouble(String),
    /// Somebody has to mend the settings.
    Broken(String),
}

async fn grant(client: &reqwest::Client, oauth2: &OAuth2Settings) -> Result<Granted, AuthError> {
    let secret = match (&oauth2.client_secret, &oauth2.client_secret_file) {
        (Some(given), _) => given.clone(),
        (None, Some(file)) => secret(file).await?,
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
    let answer = client.post(oauth2.token_url.clone()).form(&form).send().await;
    let answer = answer.map_err(AuthError::Lost)?;
    let status = answer.status();
    let body = answer.bytes().await.map_err(AuthError::Lost)?;
    if status.is_success() {
        return serde_json::from_slice(&body).map_err(|_| {
            AuthError::Broken("the token server's answer has no access_token".to_owned())
        });
    }
    let said = error_message(&body).map(|said| format!(": {said}")).unwrap_or_default();
    let reason = format!("the token server answered {status}{said}");
    let trouble = status.is_server_error() || status == reqwest::StatusCode::TOO_MANY_REQUESTS;
    Err(if trouble { AuthError::Trouble(reason) } else { AuthError::Broken(reason) })
}

async fn secret(file: &Path) -> Result<String, AuthError> {
    let text = tokio::fs::read_to_string(file).await;
    let unreadable =
        |error| AuthError::Broken(format!("{} cannot be read: {error}", file.display()));
    Ok(text.map_err(unreadable)?.trim().to_owned())
}
