//! A look at an address where Windrow does not answer, for an error that says what is there.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::DEFAULT_PORT;

/// The beginning of every HTTP/2 connection, with empty settings.
const HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// Offset and value of the type in a frame of settings, the first that a server of HTTP/2 sends.
const SETTINGS: (usize, u8) = (3, 4);
/// Time for the answer of whatever is there.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is at the address and what to do; `None` if nothing is there, or if it may be Windrow.
pub(crate) async fn probe(endpoint: &str) -> Option<String> {
    let host = address(endpoint);
    let mut stream = match timeout(PATIENCE, TcpStream::connect(&host)).await.ok()? {
        Ok(stream) => stream,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {
            return Some(at(endpoint, CLOSES));
        }
        Err(_) => return None,
    };
    let mut answer = [0; 64];
    let exchange = async {
        stream.write_all(HELLO).await?;
        stream.read(&mut answer).await
    };
    let finding = match timeout(PATIENCE, exchange).await {
        Ok(Ok(length)) => finding(endpoint, answer.get(..length).unwrap_or_default())?,
        Ok(Err(_)) => CLOSES.to_owned(),
        Err(_) => {
            "it accepts connections, but does not answer; correct the address, or restart the \
                   program there"
                .to_owned()
        }
    };
    Some(at(endpoint, &finding))
}

fn at(endpoint: &str, finding: &str) -> String {
    format!("{endpoint} is not the address of Windrow: {finding}")
}

const CLOSES: &str = "it accepts connections and closes them; correct the address";

/// The address for a connection, with the default port of its scheme.
fn address(endpoint: &str) -> String {
    let (scheme, rest) = endpoint.split_once("://").unwrap_or(("http", endpoint));
    let authority = rest.split('/').next().unwrap_or_default();
    let after_host = authority.rsplit_once(']').map_or(authority, |(_, rest)| rest);
    let port = if scheme == "https" { 443 } else { DEFAULT_PORT };
    if after_host.contains(':') { authority.to_owned() } else { format!("{authority}:{port}") }
}

fn finding(endpoint: &str, answer: &[u8]) -> Option<String> {
    let bare = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
    let is_tls = endpoint.starts_with("https://");
    Some(match answer {
        [] => CLOSES.to_owned(),
        // A TLS alert.
        [0x15, 3, ..] if is_tls => return None,
        [0x15, 3, ..] => format!("it expects TLS; write https://{bare}"),
        _ if answer.get(SETTINGS.0) == Some(&SETTINGS.1) && is_tls => {
            format!("it has no TLS; write http://{bare}")
        }
        _ if answer.get(SETTINGS.0) == Some(&SETTINGS.1) => return None,
        [b'H', b'T', b'T', b'P', b'/', b'1', ..] if is_tls => {
            "it is a web server without TLS; correct the address".to_owned()
        }
        [b'H', b'T', b'T', b'P', b'/', b'1', ..] => {
            "it speaks HTTP/1; correct the port, or let the proxy there forward gRPC by HTTP/2"
                .to_owned()
        }
        other => {
            let text = String::from_utf8_lossy(other);
            let first = text.lines().next().unwrap_or_default();
            format!("another program answers there with \"{first}\"; correct the address")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_what_is_there() {
        let check = |endpoint: &str, answer: &[u8], expected: Option<&str>| {
            let found = finding(endpoint, answer);
            match expected {
                Some(expected) => assert!(found.unwrap().starts_with(expected), "{answer:?}"),
                None => assert_eq!(found, None, "{answer:?}"),
            }
        };
        let settings = [0, 0, 6, 4, 0, 0, 0, 0, 0];
        check("a:1", &settings, None);
        check("https://a:1", &settings, Some("it has no TLS; write http://a:1"));
        check("a:1", &[0x15, 3, 1, 0, 2, 2, 70], Some("it expects TLS; write https://a:1"));
        check("https://a", &[0x15, 3, 1, 0, 2, 2, 70], None);
        check("a:1", b"HTTP/1.1 400 Bad Request", Some("it speaks HTTP/1"));
        check("a:1", b"SSH-2.0-x\r\n", Some("another program answers there with \"SSH-2.0-x\""));
        check("a:1", b"", Some("it accepts connections and closes them"));
    }

    #[test]
    fn an_address_has_the_port_of_its_scheme() {
        for (endpoint, expected) in [
            ("a:1", "a:1"),
            ("https://a", "a:443"),
            ("http://a:2/", "a:2"),
            ("https://[::1]", "[::1]:443"),
        ] {
            assert_eq!(address(endpoint), expected);
        }
    }
}
