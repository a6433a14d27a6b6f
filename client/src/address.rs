//! Where a server is, as people write it, checked before anything is sent there.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use tonic::transport::Uri;

use crate::Error;

/// Whether an address without TLS may be used although there is a token to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plaintext {
    WithToken,
    /// Only on this machine.
    WithoutToken,
}

/// A server's address.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    given: Arc<str>,
    uri: Uri,
}

impl Address {
    pub(crate) fn parse(server: &str, plaintext: Plaintext) -> Result<Self, Error> {
        let invalid = |description: String| invalid(server, description);
        let whole = match server.split_once("://") {
            Some(("http" | "https", _)) => server.to_owned(),
            Some((scheme, _)) => {
                return Err(invalid(format!("`{scheme}` is not supported, only http and https")));
            }
            None => format!("http://{server}"),
        };
        let uri: Uri = whole.parse().map_err(|e| invalid(format!("{e}")))?;
        let address = Self { given: server.into(), uri };
        if address.uri.port().is_none() && !address.is_tls() {
            return Err(invalid("the port is missing, for example `127.0.0.1:50051`".to_owned()));
        }
        if !address.is_tls() && plaintext == Plaintext::WithoutToken && !address.is_here() {
            let text = "the token would cross the network in the clear; use https, or allow it";
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

    /// On this machine.
    fn is_here(&self) -> bool {
        let host = self.uri.host().unwrap_or_default().trim_matches(['[', ']']);
        host == "localhost" || host.parse().is_ok_and(|host: IpAddr| host.is_loopback())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.given)
    }
}

pub(crate) fn invalid(server: &str, description: String) -> Error {
    Error::InvalidServer { server: server.to_owned(), description }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_come_with_or_without_a_scheme() {
        let uri = |server| Address::parse(server, Plaintext::WithToken).unwrap().uri;
        assert_eq!(uri("127.0.0.1:50051"), "http://127.0.0.1:50051/");
        assert_eq!(uri("http://windrow:1"), "http://windrow:1/");
        assert_eq!(uri("https://windrow"), "https://windrow/");
    }

    #[test]
    fn a_useless_address_is_refused_at_once() {
        for server in ["", "a b", "localhost", "http://windrow", "ftp://x:1", "https://"] {
            let refused = Address::parse(server, Plaintext::WithToken);
            assert!(matches!(refused, Err(Error::InvalidServer { .. })), "{server}");
        }
    }

    #[test]
    fn a_token_crosses_no_network_in_the_clear() {
        let check = |server, expected| {
            assert_eq!(
                Address::parse(server, Plaintext::WithoutToken).is_ok(),
                expected,
                "{server}"
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
