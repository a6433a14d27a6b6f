//! The choice of the server. The strongest setting wins: `--server`, then `--context`, `WINDROW_SERVER`,
//! `WINDROW_CONTEXT`, and last the current context.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use super::{Connection, ConnectionFlags, Contexts};
use crate::failure::Failure;

const SERVER: &str = "WINDROW_SERVER";
const CONTEXT: &str = "WINDROW_CONTEXT";
const CA_FILE: &str = "WINDROW_CA_FILE";
const CERTIFICATE_FILE: &str = "WINDROW_CERTIFICATE_FILE";
const KEY_FILE: &str = "WINDROW_KEY_FILE";
/// Not a flag: every user of the machine can see command lines.
const TOKEN: &str = "WINDROW_TOKEN";

/// Settings of the environment; an empty variable is not set.
pub(crate) struct Environment {
    pub(super) connection: Connection,
    pub(super) token: Option<String>,
    context: Option<String>,
}

/// The context that takes part in a connection.
#[derive(Debug, PartialEq)]
pub(super) enum ContextInUse<'a> {
    /// A server was named instead. The token of a context is only for the server of that context.
    None,
    /// Of `--context`: stronger than the environment.
    Flag(&'a str),
    /// Of the environment.
    Variable(&'a str),
    Current,
}

impl Environment {
    pub(crate) fn read() -> Self {
        Self::of(|name| env::var_os(name))
    }

    fn of(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let text = |name: &str| set(name).map(|value| value.to_string_lossy().into_owned());
        let connection = Connection {
            server: text(SERVER).unwrap_or_default(),
            ca_file: set(CA_FILE).map(PathBuf::from),
            certificate_file: set(CERTIFICATE_FILE).map(PathBuf::from),
            key_file: set(KEY_FILE).map(PathBuf::from),
            ..Default::default()
        };
        Self { connection, token: text(TOKEN), context: text(CONTEXT) }
    }

    /// A sentence if commands use something else than this current context because of a variable.
    pub(crate) fn overrides(&self, current: Option<&str>) -> Option<String> {
        let (variable, used) = match self.context.as_deref() {
            _ if !self.connection.server.is_empty() => {
                (SERVER, format!("the server {}", self.connection.server))
            }
            Some(context) if current != Some(context) => (CONTEXT, format!("context {context}")),
            Some(_) | None => return None,
        };
        let others = "commands without --context use";
        Some(format!("{variable} overrides the current context: {others} {used}"))
    }
}

impl<'a> ContextInUse<'a> {
    pub(super) fn choose(flags: &'a ConnectionFlags, environment: &'a Environment) -> Self {
        let is_named = |server: Option<&str>| server.is_some_and(|server| !server.is_empty());
        match (&flags.context, &environment.context) {
            _ if is_named(flags.server.as_deref()) => Self::None,
            (Some(name), _) => Self::Flag(name),
            _ if is_named(Some(environment.connection.server.as_str())) => Self::None,
            (None, Some(name)) => Self::Variable(name),
            (None, None) => Self::Current,
        }
    }

    pub(super) fn connection(&self) -> Result<Connection, Failure> {
        match *self {
            Self::None => Ok(Connection::default()),
            Self::Flag(name) | Self::Variable(name) => {
                Contexts::read(&Contexts::path()?)?.select(Some(name))
            }
            Self::Current => Contexts::readable()?.select(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(server: &'static str, context: &'static str) -> Environment {
        Environment::of(move |name| match name {
            SERVER => Some(server.into()),
            CONTEXT => Some(context.into()),
            _ => None,
        })
    }

    #[test]
    fn a_flag_is_stronger_than_a_variable_and_a_server_than_a_context() {
        let check =
            |flags: [Option<&str>; 2], variables: [&'static str; 2], expected: ContextInUse<'_>| {
                let [server, context] = flags.map(|flag| flag.map(str::to_owned));
                let flags = ConnectionFlags { server, context, ..Default::default() };
                let environment = environment(variables[0], variables[1]);
                assert_eq!(ContextInUse::choose(&flags, &environment), expected, "{flags:?}");
            };
        check([Some("a:1"), Some("a")], ["b:1", "b"], ContextInUse::None);
        check([None, Some("a")], ["b:1", "b"], ContextInUse::Flag("a"));
        check([None, None], ["b:1", "b"], ContextInUse::None);
        check([None, None], ["", "b"], ContextInUse::Variable("b"));
        check([Some(""), None], ["", ""], ContextInUse::Current);
    }

    #[test]
    fn a_variable_that_overrides_the_current_context_is_named() {
        let check = |server, context, expected: Option<&str>| {
            let said = environment(server, context).overrides(Some("a"));
            assert_eq!(said.as_deref(), expected);
        };
        let server = "WINDROW_SERVER overrides the current context: commands without --context use \
                      the server b:1";
        let context = "WINDROW_CONTEXT overrides the current context: commands without --context \
                       use context b";
        check("b:1", "b", Some(server));
        check("", "b", Some(context));
        check("", "a", None);
        check("", "", None);
    }
}
