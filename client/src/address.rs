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
        let whole = match endpoint.split_once("://") {
            Some(("http" | "https", _)) => endpoint.to_owned(),
            Some((scheme, _)) => {
                return Err(invalid(format!(
                    "the scheme `{scheme}` is not supported; use http or https"
                )));
            }
            None => format!("http://{endpoint}"),
        };
        let uri: Uri = whole.parse().map_err(|e| invalid(format!("{e}")))?;
        let address = Self { given: endpoint.into(), uri };
        if address.uri.port().is_none() && !address.is_tls() {
            return Err(invalid("the port is missing, for example `127.0.0.1:50051`".to_owned()));
        }
        if !address.is_tls() && plaintext == Plaintext::WithoutToken && !address.is_local() {
            let text =
                "the bearer token would be sent unencrypted; use https, or allow it explicitly";
            return Err(invalid(text.to_owned()));
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
    }

    #[test]
    fn an_invalid_endpoint_is_rejected() {
        for endpoint in ["", "a b", "localhost", "http://windrow", "ftp://x:1", "https://"] {
            let rejected = Address::parse(endpoint, Plaintext::WithToken);
            assert!(matches!(rejected, Err(Error::InvalidEndpoint { .. })), "{endpoint}");
        }
    }

    #[test]
    fn a_bearer_token_is_not_sent_unencrypted_to_another_machine() {
        let check = |endpoint, expected| {
            assert_eq!(
                Address::parse(endpoint, Plaintext::WithoutToken).is_ok(),
                expected,
                "{endpoint}"
            );
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
