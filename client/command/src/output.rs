//! Output: text for people, JSON or YAML for programs, or only ids. Results go to stdout, hints to stderr.

use std::io::{self, BufWriter, Stdout, Write};

use clap::ValueEnum;
use prost::{Message, Name};

use crate::failure::Failure;
use crate::json::{Shown, to_json};
use crate::render::Layout;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Text for people.
    #[default]
    Table,
    /// One JSON object per line.
    Json,
    /// One YAML document per response.
    Yaml,
    /// Only ids, one per line.
    #[value(skip)]
    Quiet,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    pub(crate) format: Format,
    pub(crate) layout: Layout,
}

impl Output {
    pub(crate) fn is_table(self) -> bool {
        self.format == Format::Table
    }

    /// Shows a response: as text, as an object, or as the ids of what it contains.
    pub(crate) fn show<M: Message + Name>(
        self,
        message: &M,
        ids: &[&str],
        text: impl FnOnce(&Layout) -> String,
    ) -> Result<(), Failure> {
        match self.format {
            Format::Table => line(&text(&self.layout))?,
            Format::Json => line(&to_json(message)?)?,
            Format::Yaml => line(&yaml(&Shown::new(message)?)?)?,
            Format::Quiet => ids.iter().try_for_each(|id| line(id))?,
        }
        Ok(())
    }
}

/// A YAML document.
pub(crate) fn yaml(value: &impl serde::Serialize) -> Result<String, Failure> {
    let text = serde_saphyr::to_string(value).map_err(|error| Failure::Json(error.to_string()))?;
    Ok(format!("---\n{}", text.trim_end()))
}

/// Writes a line to stdout and flushes, so that the reader of a pipe sees it immediately.
pub(crate) fn line(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.write_all(b"\n")?;
    stdout.flush()
}

/// Writes a line to stderr. Results do not depend on it, so it does not matter if nobody can read it.
pub(crate) fn hint(text: &str) {
    writeln!(io::stderr(), "{text}").ok();
}

/// Writes many lines to stdout with a buffer, for exports.
pub(crate) struct Lines {
    to: BufWriter<Stdout>,
    count: u64,
}

impl Lines {
    pub(crate) fn new() -> Self {
        Self { to: BufWriter::new(io::stdout()), count: 0 }
    }

    pub(crate) fn write(&mut self, text: &str) -> io::Result<()> {
        self.to.write_all(text.as_bytes())?;
        self.to.write_all(b"\n")?;
        self.count += 1;
        Ok(())
    }

    /// Flushes the buffer and returns the number of lines.
    pub(crate) fn finish(mut self) -> io::Result<u64> {
        self.to.flush()?;
        Ok(self.count)
    }
}
