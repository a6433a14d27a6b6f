//! Output: text for people, JSON or YAML for programs, or only ids. Results go to stdout, hints to stderr.

use std::io::{self, BufWriter, Stdout, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use clap::ValueEnum;
use prost::{Message, Name};

use crate::failure::Failure;
use crate::json::{Shown, text, to_json};
use crate::render::{Layout, is_hostile, printable};

/// Hints and errors are objects, too.
static IS_JSON: AtomicBool = AtomicBool::new(false);

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
    /// Sets the format of hints and errors.
    pub(crate) fn begin(self) {
        IS_JSON.store(self.format == Format::Json, Ordering::Relaxed);
    }

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
    let failed = |error: &dyn std::fmt::Display| Failure::Json(error.to_string());
    let text = serde_saphyr::to_string(value).map_err(|error| failed(&error))?;
    if text.contains(|c| c != '\n' && is_hostile(c)) {
        // JSON is YAML, too, and has escapes for all characters.
        let json = text::line(value).map_err(|error| failed(&error))?;
        return Ok(format!("---\n{json}"));
    }
    Ok(format!("---\n{}", text.trim_end()))
}

/// Writes a line to stdout and flushes, so that the reader of a pipe sees it immediately.
pub(crate) fn line(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(printable(text).as_bytes())?;
    stdout.write_all(b"\n")?;
    stdout.flush()
}

/// Writes a line to stderr. Results do not depend on it, so it does not matter if nobody can read it.
pub(crate) fn hint(text: &str) {
    if is_json() {
        remark(&serde_json::json!({ "hint": text }));
    } else {
        writeln!(io::stderr(), "{}", printable(text)).ok();
    }
}

/// Writes an object to stderr.
pub(crate) fn remark(object: &serde_json::Value) {
    // Objects of texts and numbers always have a text.
    let line = text::line(object).unwrap_or_default();
    writeln!(io::stderr(), "{line}").ok();
}

pub(crate) fn is_json() -> bool {
    IS_JSON.load(Ordering::Relaxed)
}

/// Writes warnings to stderr, with the job or file if there may be several.
pub(crate) fn warn(about: Option<&str>, warnings: &[String]) {
    let place = about.map(|about| format!("{about}: ")).unwrap_or_default();
    for warning in warnings {
        let text = format!("{place}{warning}");
        if is_json() {
            remark(&serde_json::json!({ "warning": text }));
        } else {
            hint(&format!("warning: {text}"));
        }
    }
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
