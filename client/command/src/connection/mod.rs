//! The connection to a server, configured by flags, the environment or a context.

mod choice;
mod contexts;
mod probe;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use windrow_client::{Client, Delay, Error};

use choice::ContextInUse;
pub(crate) use choice::Environment;
pub(crate) use contexts::{Connection, Contexts};
pub(crate) use probe::probe;

use crate::failure::Failure;
use crate::output::hint;

const DEFAULT_SERVER: &str = "127.0.0.1:50051";
const DEFAULT_PORT: u16 = 50051;

// Without `env`: clap would not tell a variable, which is weaker than `--context`, from a flag.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectionFlags {
    /// Server, for example windrow.internal; https:// in front of it selects TLS [default: 127.0.0.1:50051].
    ///
    /// If a context is in use, its server is the default. The default port is 50051, and 443 for https. A
    /// comma separates several servers of one database; the command uses one that answers. May also be set
    /// as WINDROW_SERVER.
    ///
    /// The first of these that is set decides: --server, --context, WINDROW_SERVER, WINDROW_CONTEXT, the
    /// current context.
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub(crate) server: Option<String>,
    /// Use the server of this context instead of the current one; see `windrow context`.
    ///
    /// Its settings are stronger than those of the environment. May also be set as WINDROW_CONTEXT, which is
    /// weaker than WINDROW_SERVER.
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// File with the CA certificates (PEM) to trust [default: those of the system].
    ///
    /// May also be set as WINDROW_CA_FILE.
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub(crate) ca_file: Option<PathBuf>,
    /// File with the certificate (PEM) by which the server knows this client, if it asks for one.
    ///
    /// May also be set as WINDROW_CERTIFICATE_FILE.
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub(crate) certificate_file: Option<PathBuf>,
    /// File with the private key (PEM) of that certificate.
    ///
    /// May also be set as WINDROW_KEY_FILE.
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub(crate) key_file: Option<PathBuf>,
    /// File with the bearer token to send. WINDROW_TOKEN may hold the token itself.
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub(crate) token_file: Option<PathBuf>,
    /// Allow sending the token without TLS, in networks that are private by other means.
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) plaintext_token: bool,
}

/// Connects to the server of the flags, or of a context, or on this machine.
pub(crate) async fn connect(flags: ConnectionFlags) -> Result<Client, Failure> {
    let (server, token) = settings(&flags, Environment::read())?;
    let endpoint = if server.server.is_empty() { DEFAULT_SERVER } else { &server.server };
    let mut builder = Client::builder().endpoint(with_ports(endpoint));
    builder = builder.user_agent(concat!("windrow/", env!("CARGO_PKG_VERSION")));
    builder = builder.on_delay(|delay| hint(&waiting(delay)));
    if let Some(file) = &server.ca_file {
        let certificates = fs::read(file).map_err(|error| unreadable("CA", file, &error))?;
        builder = builder.ca_certificate(certificates);
    }
    if let Some([certificate, key]) = server.client_certificate()? {
        builder = builder.client_certificate(certificate, key);
    }
    if let Some(token) = token {
        builder = builder.bearer_token(token);
    }
    if server.plaintext_token {
        builder = builder.bearer_token_over_plaintext();
    }
    builder.connect().await.map_err(with_remedy)
}

/// The connection and its token. A named context is stronger than the environment, any other is weaker.
fn settings(
    flags: &ConnectionFlags,
    environment: Environment,
) -> Result<(Connection, Option<String>), Failure> {
    let choice = ContextInUse::choose(flags, &environment);
    let (given, context) = (Connection::from(flags), choice.connection()?);
    let is_stronger = matches!(choice, ContextInUse::Flag(_));
    let Environment { connection, token: set, .. } = environment;
    let token = match (&given.token_file, set, &context.token_file) {
        (Some(file), _, _) | (None, None, Some(file)) => Some(read_token(file)?),
        (None, Some(_), Some(file)) if is_stronger => Some(read_token(file)?),
        (None, set, _) => set,
    };
    let below = if is_stronger { context.over(connection) } else { connection.over(context) };
    Ok((given.over(below), token))
}

/// The error of the client, with the flag that allows what it refused.
fn with_remedy(error: Error) -> Failure {
    let Error::UnencryptedToken { endpoint } = &error else { return error.into() };
    Failure::Refused(format!(
        "the bearer token would be sent unencrypted to {endpoint}; use https, or allow it with \
         --plaintext-token"
    ))
}

fn waiting(delay: &Delay<'_>) -> String {
    match delay.error {
        Some(error) => format!("Waiting for Windrow at {}: {error}", delay.endpoint),
        None => format!("Waiting for a response from {}", delay.endpoint),
    }
}

impl From<&ConnectionFlags> for Connection {
    fn from(flags: &ConnectionFlags) -> Self {
        Self {
            server: flags.server.clone().unwrap_or_default(),
            ca_file: flags.ca_file.clone(),
            certificate_file: flags.certificate_file.clone(),
            key_file: flags.key_file.clone(),
            token_file: flags.token_file.clone(),
            plaintext_token: flags.plaintext_token,
        }
    }
}

impl Connection {
    /// The connection of the flags, completed by the environment.
    pub(crate) fn given(flags: &ConnectionFlags) -> Self {
        Self::from(flags).over(Environment::read().connection)
    }

    /// The flags that describe this connection.
    pub(crate) fn flags(&self) -> Vec<String> {
        let mut flags = vec!["--server".to_owned(), self.server.clone()];
        for (flag, file) in [
            ("--ca-file", &self.ca_file),
            ("--certificate-file", &self.certificate_file),
            ("--key-file", &self.key_file),
            ("--token-file", &self.token_file),
        ] {
            if let Some(file) = file {
                flags.extend([flag.to_owned(), file.display().to_string()]);
            }
        }
        flags.extend(self.plaintext_token.then(|| "--plaintext-token".to_owned()));
        flags
    }

    /// The certificate of this client, and its key.
    fn client_certificate(&self) -> Result<Option<[Vec<u8>; 2]>, Failure> {
        let read = |kind: &str, file: &Path| {
            fs::read(file).map_err(|error| unreadable(kind, file, &error))
        };
        match (&self.certificate_file, &self.key_file) {
            (Some(certificate), Some(key)) => {
                Ok(Some([read("certificate", certificate)?, read("key", key)?]))
            }
            (None, None) => Ok(None),
            (Some(_), None) => Err(Failure::Usage("--certificate-file needs --key-file")),
            (None, Some(_)) => Err(Failure::Usage("--key-file needs --certificate-file")),
        }
    }

    fn over(self, base: Self) -> Self {
        Self {
            server: if self.server.is_empty() { base.server } else { self.server },
            ca_file: self.ca_file.or(base.ca_file),
            certificate_file: self.certificate_file.or(base.certificate_file),
            key_file: self.key_file.or(base.key_file),
            token_file: self.token_file.or(base.token_file),
            plaintext_token: self.plaintext_token || base.plaintext_token,
        }
    }
}

fn read_token(file: &Path) -> Result<String, Failure> {
    let text = fs::read_to_string(file).map_err(|error| unreadable("token", file, &error))?;
    Ok(text.trim().to_owned())
}

fn unreadable(kind: &str, file: &Path, error: &io::Error) -> Failure {
    Failure::Refused(format!("{kind} file {}: {error}", file.display()))
}

/// Adds the default port to every plaintext address without one.
fn with_ports(servers: &str) -> String {
    servers.split(',').map(|server| with_port(server.trim())).collect::<Vec<_>>().join(",")
}

fn with_port(server: &str) -> String {
    let (scheme, rest) = server.split_once("://").unwrap_or(("http", server));
    let authority = rest.trim_end_matches('/');
    // An IPv6 address is in brackets, and only a colon after them starts a port.
    let after_host = authority.rsplit_once(']').map_or(authority, |(_, rest)| rest);
    let is_plaintext = scheme.eq_ignore_ascii_case("http");
    if authority.is_empty() || !is_plaintext || after_host.contains([':', '/']) {
        return server.to_owned();
    }
    format!("{}:{DEFAULT_PORT}", server.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_completes_a_stronger_one() {
        let server = |server: &str, ca: Option<&str>| Connection {
            server: server.to_owned(),
            ca_file: ca.map(PathBuf::from),
            ..Default::default()
        };
        let check = |given: Connection, base: Connection, expected: Connection| {
            assert_eq!(given.over(base), expected);
        };
        check(server("b:1", None), server("a:1", None), server("b:1", None));
        check(server("", Some("b")), server("a:1", Some("a")), server("a:1", Some("b")));
        check(Connection::default(), server("a:1", Some("a")), server("a:1", Some("a")));
    }

    #[test]
    fn the_flags_of_a_connection_describe_it() {
        let connection = Connection {
            server: "https://windrow.internal".to_owned(),
            ca_file: Some(PathBuf::from("/ca.pem")),
            certificate_file: Some(PathBuf::from("/cert.pem")),
            key_file: Some(PathBuf::from("/key.pem")),
            token_file: Some(PathBuf::from("/token")),
            plaintext_token: true,
        };
        let flags = connection.flags().join(" ");
        assert_eq!(
            flags,
            "--server https://windrow.internal --ca-file /ca.pem --certificate-file /cert.pem --key-file /key.pem \
             --token-file /token --plaintext-token"
        );
    }

    #[test]
    fn an_address_without_a_port_has_the_default_port() {
        for (given, expected) in [
            ("host", "host:50051"),
            ("host:1", "host:1"),
            ("http://host/", "http://host:50051"),
            ("http://host:1", "http://host:1"),
            ("https://host", "https://host"),
            ("[::1]", "[::1]:50051"),
            ("[::1]:1", "[::1]:1"),
            ("one, two:2", "one:50051,two:2"),
        ] {
            assert_eq!(with_ports(given), expected);
        }
    }
}
