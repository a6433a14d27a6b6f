//! `windrow context …`: named servers.

use std::io;
use std::path::{self, PathBuf};

use clap::{Args, Subcommand};

use crate::connection::{Connection, ConnectionFlags, Contexts, Environment};
use crate::failure::Failure;
use crate::output::{Format, Output, hint, line, yaml};
use crate::render::command_line;

#[derive(Debug, Subcommand)]
pub(crate) enum ContextCommand {
    /// List the contexts; a star marks the current one.
    List,
    /// Show the current context, and a variable of the environment that overrides it.
    Current,
    /// Create or replace a context with the server of --server.
    #[command(after_long_help = "Example:
  windrow context set prod --server https://windrow.internal --ca-file ca.pem --token-file token")]
    Set(NameArgs),
    /// Make a context the current one.
    Use(NameArgs),
    /// Delete a context.
    Delete(NameArgs),
}

#[derive(Debug, Args)]
pub(crate) struct NameArgs {
    /// Name of the context.
    name: String,
}

pub(crate) fn run(
    command: ContextCommand,
    output: Output,
    flags: &ConnectionFlags,
) -> Result<u8, Failure> {
    let path = Contexts::path()?;
    let mut contexts = Contexts::read(&path)?;
    match command {
        ContextCommand::List => list(&contexts, output)?,
        ContextCommand::Current => current(&contexts, output)?,
        ContextCommand::Set(NameArgs { name }) => {
            check_name(&name)?;
            let connection = permanent(flags)?;
            contexts.contexts.insert(name.clone(), connection.clone());
            contexts.write(&path)?;
            let use_it = command_line(["windrow", "context", "use", &name]);
            show(output, &name, &connection, &format!("Set context {name}. Use it: {use_it}"))?;
        }
        ContextCommand::Use(NameArgs { name }) => {
            let connection = contexts.get(&name)?.clone();
            contexts.current = Some(name.clone());
            contexts.write(&path)?;
            show(output, &name, &connection, &format!("Using {}", connection.server))?;
            tell_what_overrides(&contexts);
        }
        ContextCommand::Delete(NameArgs { name }) => {
            let connection = contexts.get(&name)?.clone();
            contexts.contexts.remove(&name);
            contexts.current = contexts.current.filter(|current| *current != name);
            contexts.write(&path)?;
            let words = ["windrow", "context", "set", &name].into_iter();
            let flags = connection.flags();
            let undo = command_line(words.chain(flags.iter().map(String::as_str)));
            show(output, &name, &connection, &format!("Deleted context {name}. Undo: {undo}"))?;
        }
    }
    Ok(0)
}

fn list(contexts: &Contexts, output: Output) -> Result<(), Failure> {
    match output.format {
        Format::Json => line(&serde_json::json!(contexts).to_string())?,
        Format::Yaml => line(&yaml(contexts)?)?,
        Format::Quiet => contexts.contexts.keys().try_for_each(|name| line(name))?,
        Format::Table if contexts.contexts.is_empty() => {
            line("No contexts. Create one: windrow context set NAME --server ADDRESS")?;
        }
        Format::Table => {
            for (name, context) in &contexts.contexts {
                let mark = if contexts.current.as_ref() == Some(name) { '*' } else { ' ' };
                line(&format!("{mark} {name}  {}", context.server))?;
            }
        }
    }
    Ok(())
}

fn current(contexts: &Contexts, output: Output) -> Result<(), Failure> {
    let connection = contexts.select(None)?;
    let (name, text) = match &contexts.current {
        Some(name) => (name.as_str(), format!("{name}  {}", connection.server)),
        None => ("", "No current context. Choose one: windrow context use NAME".to_owned()),
    };
    show(output, name, &connection, &text)?;
    tell_what_overrides(contexts);
    Ok(())
}

/// Otherwise a reader takes the current context for the one in use.
fn tell_what_overrides(contexts: &Contexts) {
    if let Some(text) = Environment::read().overrides(contexts.current.as_deref()) {
        hint(&text);
    }
}

fn show(output: Output, name: &str, it: &Connection, text: &str) -> Result<(), Failure> {
    match output.format {
        Format::Json => line(&serde_json::json!(it).to_string())?,
        Format::Yaml => line(&yaml(it)?)?,
        Format::Quiet if name.is_empty() => {}
        Format::Quiet => line(name)?,
        Format::Table => line(text)?,
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), Failure> {
    let is_word = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    let is_name = !name.is_empty() && name.chars().all(is_word) && !name.starts_with('-');
    let unnamed =
        "the name of a context has letters, digits, '-', '_' and '.', for example prod-eu";
    if is_name { Ok(()) } else { Err(Failure::Usage(unnamed)) }
}

/// Rejects now what no command could use later.
fn check_servers(servers: &str) -> Result<(), Failure> {
    let is_usable = |server: &str| match server.trim().split_once("://") {
        Some((scheme, host)) => ["http", "https"].contains(&scheme) && !host.is_empty(),
        None => !server.trim().is_empty(),
    };
    let unusable = "--server takes HOST, HOST:PORT or https://HOST; separate several with commas";
    if servers.split(',').all(is_usable) { Ok(()) } else { Err(Failure::Usage(unusable)) }
}

/// With absolute paths, because a context is used from any directory.
fn permanent(flags: &ConnectionFlags) -> Result<Connection, Failure> {
    let server = Connection::given(flags);
    if server.server.is_empty() {
        return Err(Failure::Usage("--server is required"));
    }
    check_servers(&server.server)?;
    let absolute = |flag: &str, file: Option<PathBuf>| {
        let failed = |error: io::Error| Failure::Refused(format!("{flag}: {error}"));
        file.map(path::absolute).transpose().map_err(failed)
    };
    Ok(Connection {
        ca_file: absolute("--ca-file", server.ca_file)?,
        certificate_file: absolute("--certificate-file", server.certificate_file)?,
        key_file: absolute("--key-file", server.key_file)?,
        token_file: absolute("--token-file", server.token_file)?,
        ..server
    })
}
