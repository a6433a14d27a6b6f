//! An address to listen on: an IP address or a name, and a port.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

/// Every address of a name is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenAddress {
    host: String,
    port: u16,
}

impl ListenAddress {
    /// Without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// 0 for a free one.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl From<SocketAddr> for ListenAddress {
    fn from(address: SocketAddr) -> Self {
        Self { host: address.ip().to_string(), port: address.port() }
    }
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Self::from(address));
        }
        let invalid = || {
            format!(
                "{text:?} is not an address and port such as 127.0.0.1:50051 or localhost:50051"
            )
        };
        let (host, port) = text.rsplit_once(':').ok_or_else(invalid)?;
        let is_in_name = |c: char| c.is_alphanumeric() || c == '-' || c == '_' || c == '.';
        // A name of digits and dots is a mistyped IP address.
        let is_name = host.chars().all(is_in_name) && host.chars().any(char::is_alphabetic);
        if !is_name {
            return Err(invalid());
        }
        Ok(Self { host: host.to_owned(), port: port.parse().map_err(|_| invalid())? })
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_an_ip_address_or_a_name_with_a_port() {
        for text in
            ["127.0.0.1:0", "[::]:50051", "[::1]:1", "localhost:7070", "db-1.internal:65535"]
        {
            assert_eq!(text.parse::<ListenAddress>().unwrap().to_string(), text);
        }
        for text in ["", "host", ":1", "localhost", "localhost:65536", "::1:5", "1.2.3:4", "a b:1"]
        {
            let error = text.parse::<ListenAddress>().unwrap_err();
            assert!(error.contains("is not an address and port"), "{text}: {error}");
        }
    }
}
