//! Where the server is, and how to speak to it: from flags, the environment or a context.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::{Deserialize, Serialize};
use windrow_client::Client;

use crate::context;
use crate::failure::Failure;

const HERE: &str = "127.0.0.1:50051";
/// Not a flag: what is on a command line is seen by everybody on the machine.
const TOKEN: &str = "WINDROW_TOKEN";

#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectionArgs {
    /// Address of the server, https://… for TLS; a comma separates several, of which one that answers is
    /// used [default: that of the context, else 127.0.0.1:50051]
    #[arg(long, global = true, env = "WINDROW_SERVER")]
    pub(crate) server: Option<String>,
    /// File with the CA certificates (PEM) to trust [default: those that this machine trusts]
    #[arg(long, global = true, env = "WINDROW_CA_FILE", value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// File with the token to send; WINDROW_TOKEN may hold the token itself.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Send the token without TLS too, where something else keeps the network private.
    #[arg(long, global = true)]
    pub(crate) plaintext_token: bool,
    /// Use the server of this context; see `windrow context` [default: the current one]
    #[arg(long, global = true, env = "WINDROW_CONTEXT", value_name = "NAME")]
    pub(crate) context: Option<String>,
}

/// A server and what it takes to speak to it. As written in `contexts.toml`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Connection {
    pub(crate) server: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ca_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) plaintext_token: bool,
}

/// Connects to the server that the flags name, or to that of a context, or to the one on this machine.
pub(crate) async fn connect(args: ConnectionArgs) -> Result<Client, Failure> {
    let flags = Connection::from(&args);
    let base = if flags.server.is_empty() {
        context::chosen(args.context.as_deref())?
    } else {
        // What a context has for its server is for no other one.
        Connection::default()
    };
    let token = token(&flags, &base)?;
    let connection = flags.over(base);
    let mut builder = Client::builder().endpoint(&connection.server);
    builder = builder.user_agent(concat!("windrow/", env!("CARGO_PKG_VERSION")));
    if let Some(file) = &connection.ca_file {
        builder = builder.ca_certificate(read(file)?);
    }
    if let Some(token) = token {
        builder = builder.bearer_token(token);
    }
    if connection.plaintext_token {
        builder = builder.bearer_token_over_plaintext();
    }
    Ok(builder.connect().await?)
}

impl From<&ConnectionArgs> for Connection {
    fn from(args: &ConnectionArgs) -> Self {
        Self {
            server: args.server.clone().unwrap_or_default(),
            ca_file: args.ca_file.clone(),
            token_file: args.token_file.clone(),
            plaintext_token: args.plaintext_token,
        }
    }
}

impl Connection {
    fn over(self, base: Self) -> Self {
        let server = [self.server, base.server].into_iter().find(|server| !server.is_empty());
        Self {
            server: server.unwrap_or_else(|| HERE.to_owned()),
            ca_file: self.ca_file.or(base.ca_file),
            token_file: self.token_file.or(base.token_file),
            plaintext_token: self.plaintext_token || base.plaintext_token,
        }
    }
}

/// That of the flags goes before the environment's, and that before a context's.
fn token(flags: &Connection, base: &Connection) -> Result<Option<String>, Failure> {
    let set = env::var(TOKEN).ok().filter(|token| !token.is_empty());
    match (&flags.token_file, set, &base.token_file) {
        (Some(file), _, _) | (None, None, Some(file)) => Ok(Some(read_token(file)?)),
        (None, set, _) => Ok(set),
    }
}

fn read_token(file: &Path) -> Result<String, Failure> {
    let text = String::from_utf8(read(file)?);
    let text = text.map_err(|error| Failure::Refused(format!("{}: {error}", file.display())))?;
    Ok(text.trim().to_owned())
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(file).map_err(|error| Failure::Refused(format!("{}: {error}", file.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_go_over_the_context_and_that_over_the_default() {
        let connection = |server: &str, ca: Option<&str>| Connection {
            server: server.to_owned(),
            ca_file: ca.map(PathBuf::from),
            ..Default::default()
        };
        let check = |flags: Connection, base: Connection, expected: Connection| {
            assert_eq!(flags.over(base), expected);
        };
        check(Connection::default(), Connection::default(), connection(HERE, None));
        check(
            connection("", Some("b")),
            connection("a:1", Some("a")),
            connection("a:1", Some("b")),
        );
        check(Connection::default(), connection("a:1", Some("a")), connection("a:1", Some("a")));
    }
}
