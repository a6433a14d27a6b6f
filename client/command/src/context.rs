//! `windrow context …`: servers by name, kept in `contexts.toml` of the user's configuration.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::{self, Path, PathBuf};

use clap::Subcommand;
use serde::{Deserialize, Serialize};

use crate::connection::{Connection, ConnectionArgs};
use crate::failure::Failure;
use crate::output::line;

#[derive(Debug, Subcommand)]
pub(crate) enum ContextCommand {
    /// List the contexts; a star marks the current one.
    List,
    /// Show the current context.
    Current,
    /// Make a context, or replace it: --server and what belongs to that server.
    #[command(
        after_help = "Example: windrow context set prod --server https://windrow.internal:50051 \
        --ca-file ca.pem --token-file token"
    )]
    Set {
        /// Its name.
        name: String,
    },
    /// Use a context from now on.
    Use {
        /// Its name.
        name: String,
    },
    /// Forget a context.
    Delete {
        /// Its name.
        name: String,
    },
}

/// The file. Unknown fields are kept out, lest a typing error go unnoticed.
#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Contexts {
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<String>,
    #[serde(default)]
    contexts: BTreeMap<String, Connection>,
}

/// What is named, or the current one; empty without either.
pub(crate) fn chosen(context: Option<&str>) -> Result<Connection, Failure> {
    read(&path()?)?.chosen(context)
}

pub(crate) fn run(command: ContextCommand, args: &ConnectionArgs) -> Result<u8, Failure> {
    let path = path()?;
    let mut contexts = read(&path)?;
    match command {
        ContextCommand::List => {
            for (name, context) in &contexts.contexts {
                let mark = if contexts.current.as_ref() == Some(name) { '*' } else { ' ' };
                line(&format!("{mark} {name}  {}", context.server))?;
            }
            return Ok(0);
        }
        ContextCommand::Current => {
            let shown = contexts.current.clone().unwrap_or_else(|| "none".to_owned());
            line(&format!("{shown}  {}", contexts.chosen(None)?.server))?;
            return Ok(0);
        }
        ContextCommand::Set { name } => {
            contexts.contexts.insert(name, lasting(args)?);
        }
        ContextCommand::Use { name } => {
            contexts.known(&name)?;
            contexts.current = Some(name);
        }
        ContextCommand::Delete { name } => {
            contexts.known(&name)?;
            contexts.contexts.remove(&name);
            contexts.current = contexts.current.filter(|current| *current != name);
        }
    }
    write(&path, &contexts)?;
    Ok(0)
}

impl Contexts {
    fn chosen(&self, wanted: Option<&str>) -> Result<Connection, Failure> {
        match wanted.or(self.current.as_deref()) {
            Some(name) => self.known(name).cloned(),
            None => Ok(Connection::default()),
        }
    }

    fn known(&self, name: &str) -> Result<&Connection, Failure> {
        let names: Vec<&str> = self.contexts.keys().map(String::as_str).collect();
        let known = if names.is_empty() { "there are none".to_owned() } else { names.join(", ") };
        let unknown = || Failure::Refused(format!("there is no context '{name}'; known: {known}"));
        self.contexts.get(name).ok_or_else(unknown)
    }
}

/// With the files by their whole paths, as a context is used from anywhere.
fn lasting(args: &ConnectionArgs) -> Result<Connection, Failure> {
    let connection = Connection::from(args);
    if connection.server.is_empty() {
        return Err(Failure::Usage("say with --server where it is"));
    }
    Ok(Connection {
        ca_file: connection.ca_file.map(path::absolute).transpose()?,
        token_file: connection.token_file.map(path::absolute).transpose()?,
        ..connection
    })
}

fn path() -> Result<PathBuf, Failure> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let config = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")));
    let nowhere = || Failure::Refused("neither XDG_CONFIG_HOME nor HOME is set".to_owned());
    Ok(config.ok_or_else(nowhere)?.join("windrow").join("contexts.toml"))
}

fn read(path: &Path) -> Result<Contexts, Failure> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Contexts::default()),
        Err(error) => return Err(Failure::Refused(format!("{}: {error}", path.display()))),
    };
    toml::from_str(&text).map_err(|error| Failure::Refused(format!("{}: {error}", path.display())))
}

/// Beside the file and then in its place, so that nobody finds half of it; for its owner only.
fn write(path: &Path, contexts: &Contexts) -> Result<(), Failure> {
    let text = toml::to_string(contexts).map_err(|error| Failure::Refused(error.to_string()))?;
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(text.as_bytes())?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contexts(current: Option<&str>) -> Contexts {
        let context = |server: &str| Connection { server: server.to_owned(), ..Default::default() };
        Contexts {
            current: current.map(str::to_owned),
            contexts: [("a".to_owned(), context("a:1")), ("b".to_owned(), context("b:1"))].into(),
        }
    }

    #[test]
    fn what_is_named_goes_before_the_current_one() {
        let check = |current, wanted: Option<&str>, expected: &str| {
            assert_eq!(contexts(current).chosen(wanted).unwrap().server, expected);
        };
        check(None, None, "");
        check(Some("a"), None, "a:1");
        check(Some("a"), Some("b"), "b:1");
        let unknown = contexts(Some("a")).chosen(Some("c")).unwrap_err();
        assert_eq!(unknown.to_string(), "there is no context 'c'; known: a, b");
    }

    #[test]
    fn the_file_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep").join("contexts.toml");
        assert_eq!(read(&path).unwrap(), Contexts::default());
        write(&path, &contexts(Some("b"))).unwrap();
        assert_eq!(read(&path).unwrap(), contexts(Some("b")));
        fs::write(&path, "curent = 'a'").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("curent"));
    }
}
