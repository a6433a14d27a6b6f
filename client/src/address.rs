//! Endpoints as people write them, validated before anything is sent there.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use tonic::transport::Uri;

use crate::Error;

/// Whether a bearer token may be sent without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plaintext {
    WithToken,
    /// Only on this machine.
    WithoutToken,
}

/// An endpoint that was validated, with its URI.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    given: Arc<str>,
    uri: Uri,
}

impl Address {
    pub(crate) fn parse(endpoint: &str, plaintext: Plaintext) -> Result<Self, Error> {
        let invalid = |description: String| invalid(endpoint, description);
        let uri = uri(endpoint).map_err(invalid)?;
        let address = Self { given: endpoint.into(), uri };
        if address.uri.port().is_none() && !address.is_tls() {
            return Err(invalid("the port is missing, for example `127.0.0.1:50051`".to_owned()));
        }
        if !address.is_tls() && plaintext == Plaintext::WithoutToken && !address.is_local() {
            return Err(Error::UnencryptedToken { endpoint: endpoint.to_owned() });
        }
        Ok(address)
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.uri.scheme_str() == Some("https")
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.uri
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.given
    }

    fn is_local(&self) -> bool {
        let host = self.uri.host().unwrap_or_default().trim_matches(['[', ']']);
        host == "localhost" || host.parse().is_ok_and(|host: IpAddr| host.is_loopback())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.given)
    }
}

/// The URI, with nothing that the connection would ignore.
fn uri(endpoint: &str) -> Result<Uri, String> {
    let (scheme, rest) = endpoint.split_once("://").unwrap_or(("http", endpoint));
    let scheme = scheme.to_ascii_lowercase();
    if !["http", "https"].contains(&scheme.as_str()) {
        return Err(format!("the scheme `{scheme}` is not supported; use http or https"));
    }
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains(['/', '?', '#']) {
        return Err("it has a path; write only the host and the port".to_owned());
    }
    if authority.contains('@') {
        return Err("it has a user; pass a bearer token instead".to_owned());
    }
    // An IPv6 address has colons of its own.
    let (host, after_host) = authority.split_at(authority.find(']').map_or(0, |end| end + 1));
    if host.is_empty() && after_host.matches(':').count() > 1 {
        return Err("write an IPv6 address in brackets, for example `[::1]:50051`".to_owned());
    }
    if let Some((_, port)) = after_host.split_once(':')
        && port.parse::<u16>().is_err()
    {
        return Err(format!("`{port}` is not a port, a number up to 65535"));
    }
    let uri: Uri = format!("{scheme}://{authority}").parse().map_err(|e| format!("{e}"))?;
    let has_host = uri.host().is_some_and(|host| !host.is_empty());
    if has_host { Ok(uri) } else { Err("the host is missing".to_owned()) }
}

pub(crate) fn invalid(endpoint: &str, description: String) -> Error {
    Error::InvalidEndpoint { endpoint: endpoint.to_owned(), description }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_may_have_a_scheme() {
        let uri = |endpoint| Address::parse(endpoint, Plaintext::WithToken).unwrap().uri;
        assert_eq!(uri("127.0.0.1:50051"), "http://127.0.0.1:50051/");
        assert_eq!(uri("http://windrow:1"), "http://windrow:1/");
        assert_eq!(uri("https://windrow"), "https://windrow/");
        assert_eq!(uri("HTTPS://windrow/"), "https://windrow/");
        assert_eq!(uri("[::1]:1"), "http://[::1]:1/");
    }

    #[test]
    fn an_invalid_endpoint_is_rejected() {
        for (endpoint, reason) in [
            ("", ""),
            ("a b", "invalid uri character"),
            ("localhost", "the port is missing"),
            ("http://windrow", "the port is missing"),
            ("ftp://x:1", "the scheme `ftp` is not supported"),
            ("https://", ""),
            (":50051", "the host is missing"),
            ("localhost:99999", "`99999` is not a port"),
            ("localhost:", "`` is not a port"),
            ("::1", "write an IPv6 address in brackets"),
            ("fe80::1:50051", "write an IPv6 address in brackets"),
            ("host:1/windrow", "it has a path"),
            ("http:/x", "it has a path"),
            ("https://host?a=b", "it has a path"),
            ("me:secret@host:1", "it has a user"),
        ] {
            match Address::parse(endpoint, Plaintext::WithToken) {
                Err(Error::InvalidEndpoint { description, .. }) => {
                    assert!(description.starts_with(reason), "{endpoint}: {description}");
                }
                other => panic!("{endpoint}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_bearer_token_is_not_sent_unencrypted_to_another_machine() {
        let check = |endpoint, expected: bool| {
            let parsed = Address::parse(endpoint, Plaintext::WithoutToken);
            let is_refused = matches!(parsed, Err(Error::UnencryptedToken { .. }));
            assert_eq!((parsed.is_ok(), is_refused), (expected, !expected), "{endpoint}");
        };
        check("windrow:50051", false);
        check("10.0.0.1:50051", false);
        check("localhost.evil.example:50051", false);
        check("https://windrow:50051", true);
        check("localhost:50051", true);
        check("127.0.0.2:50051", true);
        check("[::1]:50051", true);
    }
}
