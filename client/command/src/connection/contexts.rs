//! The file of contexts, `contexts.toml` in the user's configuration directory: servers by name.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// A server and the means to connect to it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Connection {
    pub(crate) server: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ca_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) certificate_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) plaintext_token: bool,
}

/// The content of the file. Unknown fields are rejected, so that typing errors are noticed.
#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Contexts {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) current: Option<String>,
    #[serde(default)]
    pub(crate) contexts: BTreeMap<String, Connection>,
}

impl Contexts {
    pub(crate) fn path() -> Result<PathBuf, Failure> {
        let set = |name: &str| env::var_os(name).filter(|it| !it.is_empty()).map(PathBuf::from);
        // Without HOME, the home directory of the user's account.
        let home = || env::home_dir().filter(|home| !home.as_os_str().is_empty());
        let config = set("XDG_CONFIG_HOME").or_else(|| Some(home()?.join(".config")));
        let unset =
            || Failure::Refused("contexts need XDG_CONFIG_HOME or HOME to be set".to_owned());
        Ok(config.ok_or_else(unset)?.join("windrow").join("contexts.toml"))
    }

    /// Empty if the file does not exist.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let failed = |error: &dyn std::fmt::Display| {
            Failure::Refused(format!("{}: {error}", path.display()))
        };
        match fs::read_to_string(path) {
            Ok(text) => toml::from_str(&text).map_err(|error| failed(&error)),
            Err(error) if is_missing(&error) => Ok(Self::default()),
            Err(error) => Err(failed(&error)),
        }
    }

    /// The contexts for a command that asks for none: those of a home that is missing or unreadable do not
    /// matter.
    pub(crate) fn readable() -> Result<Self, Failure> {
        match Self::path() {
            Ok(path) if fs::read(&path).is_ok() => Self::read(&path),
            Ok(_) | Err(_) => Ok(Self::default()),
        }
    }

    /// Replaces the file atomically; only its owner can read it.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Failure> {
        let text = toml::to_string(self).map_err(|error| Failure::Refused(error.to_string()))?;
        replace(path, &text).map_err(|error| {
            Failure::Refused(format!(
                "cannot write {}: {error}; correct this, or set XDG_CONFIG_HOME to a directory that \
                 you can write",
                path.display()
            ))
        })
    }

    /// The named context, or the current one, or an empty one.
    pub(crate) fn select(&self, name: Option<&str>) -> Result<Connection, Failure> {
        match name.or(self.current.as_deref()) {
            Some(name) => self.get(name).cloned(),
            None => Ok(Connection::default()),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Result<&Connection, Failure> {
        let names: Vec<&str> = self.contexts.keys().map(String::as_str).collect();
        let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let unknown = || Failure::Refused(format!("unknown context '{name}'; known: {known}"));
        self.contexts.get(name).ok_or_else(unknown)
    }
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(text.as_bytes())?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
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
    fn a_named_context_overrides_the_current_one() {
        let check = |current, name: Option<&str>, expected: &str| {
            assert_eq!(contexts(current).select(name).unwrap().server, expected);
        };
        check(None, None, "");
        check(Some("a"), None, "a:1");
        check(Some("a"), Some("b"), "b:1");
        let unknown = contexts(Some("a")).select(Some("c")).unwrap_err();
        assert_eq!(unknown.to_string(), "unknown context 'c'; known: a, b");
    }

    #[test]
    fn the_file_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep").join("contexts.toml");
        assert_eq!(Contexts::read(&path).unwrap(), Contexts::default());
        contexts(Some("b")).write(&path).unwrap();
        assert_eq!(Contexts::read(&path).unwrap(), contexts(Some("b")));
        fs::write(&path, "curent = 'a'").unwrap();
        assert!(Contexts::read(&path).unwrap_err().to_string().contains("curent"));
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named_with_a_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let blocked = dir.path().join("file");
        fs::write(&blocked, "").unwrap();
        let path = blocked.join("windrow").join("contexts.toml");
        let said = contexts(None).write(&path).unwrap_err().to_string();
        assert!(said.starts_with(&format!("cannot write {}: ", path.display())), "{said}");
        assert!(said.contains("set XDG_CONFIG_HOME"), "{said}");
    }
}
