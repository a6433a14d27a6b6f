//! `windrow completions` and `windrow man`.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Command};
use clap_complete::Shell;

use crate::failure::Failure;
use crate::output::hint;

const NAME: &str = "windrow";

#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  windrow completions bash > /etc/bash_completion.d/windrow
  windrow completions zsh > \"${fpath[1]}/_windrow\"
  windrow completions fish > ~/.config/fish/completions/windrow.fish")]
pub(crate) struct CompletionsArgs {
    /// Shell.
    shell: Shell,
}

#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  windrow man | man -l -
  windrow man /usr/local/share/man/man1")]
pub(crate) struct ManArgs {
    /// Directory for the manual pages of all commands [default: the main page to stdout].
    directory: Option<PathBuf>,
}

pub(crate) fn completions(command: &mut Command, args: &CompletionsArgs) -> Result<u8, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, command, NAME, &mut script);
    io::stdout().write_all(&script)?;
    Ok(0)
}

pub(crate) fn man(command: Command, args: &ManArgs) -> Result<u8, Failure> {
    let Some(directory) = &args.directory else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page)?;
        io::stdout().write_all(&page)?;
        return Ok(0);
    };
    let written =
        fs::create_dir_all(directory).and_then(|()| clap_mangen::generate_to(command, directory));
    written.map_err(|error| {
        let place = directory.display();
        Failure::Refused(format!("cannot write to {place}: {error}; name another directory"))
    })?;
    hint(&format!("Wrote the manual pages to {}", directory.display()));
    Ok(0)
}
