//! Responses as text for people: tables, details, and the lines of a watch.

mod jobs;
mod properties;
mod runs;
mod stats;
mod ticks;

mod details;
mod escape;
mod layout;
mod settings;
mod table;

pub(crate) use escape::{clean, is_hostile, printable};
pub(crate) use jobs::{changed_job, job_with_runs, jobs};
pub(crate) use layout::{Layout, Zone, duration as duration_text};
pub(crate) use properties::{properties, property_with_changes};
pub(crate) use runs::{live, log, progress, run, run_id_lines, runs};
pub(crate) use settings::{Setting, command_line, flag, job_settings};
pub(crate) use stats::stats;
pub(crate) use ticks::{backfill, decided_ticks, explanation, ticks};

/// Stands for a value that is absent.
const NONE: &str = "-";

/// A list of which only one page is shown, for the line below it.
pub(crate) struct PageCount {
    pub(crate) shown: usize,
    pub(crate) total: i64,
    /// More than `total` match.
    pub(crate) is_lower_bound: bool,
}

impl PageCount {
    /// `50 runs, 260 more; --all shows everything`
    fn footer(&self, one: &str, many: &str) -> String {
        let total = usize::try_from(self.total).unwrap_or_default().max(self.shown);
        let (shown, more) = (counted(self.shown, one, many), total.saturating_sub(self.shown));
        match (more, self.is_lower_bound) {
            (0, false) => shown,
            (_, false) => format!("{shown}, {more} more; --all shows everything"),
            (_, true) => format!("{shown}, more than {more} more; --all shows everything"),
        }
    }
}

pub(crate) fn counted(count: usize, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}

#[cfg(test)]
mod tests;
