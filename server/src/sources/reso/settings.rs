//! Settings of a `reso` source.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use url::{Host, Url};

use crate::sources::settings::{TIMEOUT_MAX, default_timeout, duration, passwords};

/// Largest `page_size`.
const PAGE_SIZE_MAX: u32 = 10_000;
/// Longest `page_delay`.
const PAGE_DELAY_MAX: Duration = Duration::from_mins(1);
/// Longest `overlap`.
const OVERLAP_MAX: Duration = Duration::from_hours(7 * 24);

/// A RESO Web API.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResoSettings {
    /// The root of the service, for example `https://api.example.com/reso/odata`.
    pub url: Url,
    /// The resource to read. Default: `Property`.
    #[serde(default = "default_resource")]
    pub resource: String,
    /// A bearer token that does not expire.
    #[serde(default)]
    pub token: Option<String>,
    /// A file with the bearer token. It is read for every request.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// OAuth 2.0 client credentials for bearer tokens.
    #[serde(default)]
    pub oauth2: Option<OAuth2Settings>,
    /// Maximum time for one location. Default: ten minutes.
    #[serde(default = "default_timeout", deserialize_with = "duration")]
    pub timeout: Duration,
    /// Requested listings per page; the server may send fewer. 0: no request. Default: 200.
    #[serde(default = "default_page_size")]
    pub page_size: u32,
    /// Pause between two pages. Default: none.
    #[serde(default, deserialize_with = "duration")]
    pub page_delay: Duration,
    /// Fields to request, in addition to those that Windrow needs. Default: all.
    #[serde(default)]
    pub select: Vec<String>,
    /// An additional OData condition, for example `MlsStatus ne 'Coming Soon'`.
    #[serde(default)]
    pub filter: Option<String>,
    /// One in this many runs of a scheduled job reads everything, the others only changes. 1: every run
    /// reads everything. Default: 24.
    #[serde(default = "default_full_every")]
    pub full_every: u32,
    /// Changes are read again for this long before the start of the last complete run, because some appear
    /// later than their timestamp. Default: five minutes.
    #[serde(default = "default_overlap", deserialize_with = "duration")]
    pub overlap: Duration,
    /// Request pages in order of change. `false` for a service that cannot sort. Default: true.
    #[serde(default = "default_ordered")]
    pub ordered: bool,
    /// Origins by which the service calls itself in its links, as behind a proxy. Such links are read from
    /// `url`; with a path, the address stands for all of `url`.
    #[serde(default)]
    pub internal_origins: Vec<Url>,
    /// Other origins to which links may lead. They receive the token.
    #[serde(default)]
    pub trusted_origins: Vec<Url>,
    /// Allow `http` to other machines, which exposes the token to the network.
    #[serde(default)]
    pub allow_http: bool,
}

/// OAuth 2.0 client credentials (RFC 6749, section 4.4).
#[derive(Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OAuth2Settings {
    /// The address of the token endpoint.
    pub token_url: Url,
    pub client_id: String,
    #[serde(default)]
    pub client_secret: Option<String>,
    /// A file with the secret. It is read for every token.
    #[serde(default)]
    pub client_secret_file: Option<PathBuf>,
    /// The scope of the token, if the server requires one.
    #[serde(default)]
    pub scope: Option<String>,
}

// Settings may be logged; secrets must not.
impl std::fmt::Debug for ResoSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResoSettings")
            .field("url", &self.url.as_str())
            .field("resource", &self.resource)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for OAuth2Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OAuth2Settings")
            .field("token_url", &self.token_url.as_str())
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

impl ResoSettings {
    pub(in crate::sources) fn validate(&self) -> Result<(), String> {
        self.check_address("url", &self.url)?;
        self.check_auth()?;
        if !is_name(&self.resource) {
            return Err("resource must be a name such as Property".to_owned());
        }
        if let Some(field) = self.select.iter().find(|field| !is_name(field)) {
            return Err(format!("select: {field:?} is not a field's name"));
        }
        if self.timeout.is_zero() || self.timeout > TIMEOUT_MAX {
            return Err("timeout must be more than zero and at most 24 hours".to_owned());
        }
        if self.page_size > PAGE_SIZE_MAX {
            return Err(format!("page_size must be 0 to {PAGE_SIZE_MAX}"));
        }
        if self.page_delay > PAGE_DELAY_MAX {
            return Err("page_delay must be at most 60 seconds".to_owned());
        }
        if self.overlap > OVERLAP_MAX {
            return Err("overlap must be at most 7 days".to_owned());
        }
        if self.full_every == 0 {
            return Err("full_every must be at least 1".to_owned());
        }
        if let Some(origin) = self.internal_origins.iter().find(|origin| !origin.has_host()) {
            return Err(format!("internal_origins: {origin} has no host"));
        }
        self.trusted_origins
            .iter()
            .try_for_each(|origin| self.check_address("trusted_origins", origin))
    }

    /// The secrets that the settings contain themselves. Those in files are known when they are read.
    pub(in crate::sources) fn secrets(&self) -> Vec<String> {
        let oauth2 = self.oauth2.as_ref();
        let urls = [Some(&self.url), oauth2.map(|oauth2| &oauth2.token_url)];
        let secret = oauth2.and_then(|oauth2| oauth2.client_secret.clone());
        let passwords = urls.into_iter().flatten().flat_map(|url| passwords(url.as_str()));
        self.token.iter().cloned().chain(secret).chain(passwords).collect()
    }

    /// Files with secrets.
    pub(in crate::sources) fn secret_files(&self) -> Vec<&Path> {
        let of_oauth2 =
            self.oauth2.as_ref().and_then(|oauth2| oauth2.client_secret_file.as_deref());
        self.token_file.as_deref().into_iter().chain(of_oauth2).collect()
    }

    fn check_auth(&self) -> Result<(), String> {
        let ways = [self.token.is_some(), self.token_file.is_some(), self.oauth2.is_some()];
        if ways.iter().filter(|given| **given).count() != 1 {
            return Err("set exactly one of token, token_file and oauth2".to_owned());
        }
        let Some(oauth2) = &self.oauth2 else { return Ok(()) };
        self.check_address("oauth2.token_url", &oauth2.token_url)?;
        if oauth2.client_secret.is_some() == oauth2.client_secret_file.is_some() {
            return Err(
                "oauth2: set exactly one of client_secret and client_secret_file".to_owned()
            );
        }
        Ok(())
    }

    /// A token must not be sent unencrypted.
    fn check_address(&self, name: &str, url: &Url) -> Result<(), String> {
        let here = match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(domain)) => domain == "localhost",
            None => false,
        };
        match url.scheme() {
            "https" => Ok(()),
            "http" if here || self.allow_http => Ok(()),
            "http" => Err(format!("{name} must be https, or set allow_http")),
            _ => Err(format!("{name} must begin with https://")),
        }
    }
}

/// An OData identifier or a path to a nested field.
fn is_name(text: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == '/' || c == '.';
    text.starts_with(|c: char| c.is_alphabetic() || c == '_') && text.chars().all(word)
}

fn default_resource() -> String {
    "Property".to_owned()
}

fn default_page_size() -> u32 {
    200
}

fn default_overlap() -> Duration {
    Duration::from_mins(5)
}

fn default_ordered() -> bool {
    true
}

fn default_full_every() -> u32 {
    24
}
