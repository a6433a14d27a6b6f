//! Report of an import: its counts, and the repaired and rejected lines with their positions.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use windrow_server::app::Mode;

/// Maximum number of repaired lines in a summary; it contains all rejected lines.
const MAX_SHOWN_REPAIRS: usize = 20;

/// Kind of a report entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Not imported.
    Rejected,
    /// Imported with the change that the text describes.
    Repaired,
}

/// Counts of the documents of one kind.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) read: u64,
    new: u64,
    existing: u64,
    pub(super) rejected: u64,
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
        let Self { read, new, existing, rejected } = self;
        let imported = match mode {
            Mode::Commit => "imported",
            Mode::ValidateOnly => "would be imported",
        };
        format!(
            "{name}: {read} read, {new} {imported}, {existing} already existed, \
             {rejected} rejected\n"
        )
    }
}

/// Report of an import. Holds a text for each line that was repaired or rejected.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) jobs: Tally,
    pub(super) runs: Tally,
    /// Documents of which nobody can tell what they are.
    pub(super) unreadable: u64,
    rejected: Vec<String>,
    repaired: Vec<String>,
    unknown_fields: BTreeMap<String, u64>,
}

impl Report {
    pub(super) fn add(&mut self, kind: Kind, position: Option<&str>, text: String) {
        let entry = match position {
            Some(position) => format!("{position}: {text}"),
            None => text,
        };
        match kind {
            Kind::Rejected => self.rejected.push(entry),
            Kind::Repaired => self.repaired.push(entry),
        }
    }

    pub(super) fn add_unknown_fields(&mut self, names: Vec<String>) {
        for name in names {
            *self.unknown_fields.entry(name).or_default() += 1;
        }
    }

    pub(super) fn has_rejected(&self) -> bool {
        !self.rejected.is_empty()
    }

    /// Text for the terminal: the counts, all rejected lines, and the first repaired ones.
    pub(super) fn summary(&self, mode: Mode) -> String {
        self.render(mode, MAX_SHOWN_REPAIRS)
    }

    pub(super) fn full(&self, mode: Mode) -> String {
        self.render(mode, usize::MAX)
    }

    fn render(&self, mode: Mode, max_repairs: usize) -> String {
        let mut text = self.jobs.line("scheduled jobs", mode) + &self.runs.line("runs", mode);
        if self.unreadable > 0 {
            // Writing to a string cannot fail.
            writeln!(text, "other documents: {} rejected", self.unreadable).ok();
        }
        section(&mut text, "rejected", &self.rejected, usize::MAX);
        section(&mut text, "repaired", &self.repaired, max_repairs);
        if !self.unknown_fields.is_empty() {
            let fields: Vec<String> = self
                .unknown_fields
                .iter()
                .map(|(name, count)| format!("{name} ({count})"))
                .collect();
            // Writing to a string cannot fail.
            writeln!(text, "\nunknown fields: {}", fields.join(", ")).ok();
        }
        text
    }
}

fn section(text: &mut String, title: &str, lines: &[String], limit: usize) {
    if lines.is_empty() {
        return;
    }
    writeln!(text, "\n{title}: {}", lines.len()).ok();
    for line in lines.iter().take(limit) {
        writeln!(text, "  {line}").ok();
    }
    if lines.len() > limit {
        writeln!(text, "  … and {} more; use --report FILE for all", lines.len() - limit).ok();
    }
}
