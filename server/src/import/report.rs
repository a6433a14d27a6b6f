//! What an import did, what it mended and what it refused, with the places.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use windrow_server::app::Mode;

use super::files::Line;

/// Most mended lines that a summary shows; refused ones are shown all.
const SHOWN: usize = 20;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It was not taken over.
    Refused,
    /// It was taken over, changed as the text says.
    Mended,
}

/// What became of the documents of one kind.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) read: u64,
    new: u64,
    existing: u64,
    pub(super) refused: u64,
}

impl Tally {
    pub(super) fn count(&mut self, new: bool) {
        if new {
            self.new += 1;
        } else {
            self.existing += 1;
        }
    }

    fn line(&self, name: &str, mode: Mode) -> String {
        let Self { read, new, existing, refused } = self;
        let imported = match mode {
            Mode::Commit => "imported",
            Mode::ValidateOnly => "would be imported",
        };
        format!(
            "{name}: {read} read, {new} {imported}, {existing} there already, {refused} refused\n"
        )
    }
}

/// All that is to be told. Holds a text for each line that was not plain.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) jobs: Tally,
    pub(super) runs: Tally,
    refused: Vec<String>,
    mended: Vec<String>,
    unknown: BTreeMap<String, u64>,
}

impl Report {
    pub(super) fn add(&mut self, kind: Kind, line: Option<&Line>, text: String) {
        let told = match line {
            Some(line) => format!("{}: {text}", line.place),
            None => text,
        };
        match kind {
            Kind::Refused => self.refused.push(told),
            Kind::Mended => self.mended.push(told),
        }
    }

    pub(super) fn unknown(&mut self, names: Vec<String>) {
        for name in names {
            *self.unknown.entry(name).or_default() += 1;
        }
    }

    pub(super) fn has_refused(&self) -> bool {
        !self.refused.is_empty()
    }

    /// For the terminal: the counts, what was refused, and the beginning of what was mended.
    pub(super) fn summary(&self, mode: Mode) -> String {
        self.written(mode, SHOWN)
    }

    pub(super) fn whole(&self, mode: Mode) -> String {
        self.written(mode, usize::MAX)
    }

    fn written(&self, mode: Mode, most: usize) -> String {
        let mut text = self.jobs.line("scheduled jobs", mode) + &self.runs.line("runs", mode);
        section(&mut text, "refused", &self.refused, usize::MAX);
        section(&mut text, "mended", &self.mended, most);
        if !self.unknown.is_empty() {
            let fields: Vec<String> =
                self.unknown.iter().map(|(name, count)| format!("{name} ({count})")).collect();
            // Writing to a text cannot fail.
            writeln!(text, "\nfields without a meaning here: {}", fields.join(", ")).ok();
        }
        text
    }
}

fn section(text: &mut String, title: &str, lines: &[String], most: usize) {
    if lines.is_empty() {
        return;
    }
    writeln!(text, "\n{title}: {}", lines.len()).ok();
    for line in lines.iter().take(most) {
        writeln!(text, "  {line}").ok();
    }
    if lines.len() > most {
        writeln!(text, "  … and {} more; --report FILE has them all", lines.len() - most).ok();
    }
}
