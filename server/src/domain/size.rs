//! The size of what is sent, in bytes of a protobuf message. Pages end before it exceeds a limit, so it must never
//! be below the actual one.

use super::labels::Labels;
use super::ledger::LedgerEntry;
use super::log::KeptLine;
use super::run::{FailedLocation, Run, RunSpec, RunState};
use super::scheduled_job::ScheduledJob;

/// Maximum bytes of the entries of a message. gRPC clients accept messages of 4 MiB by default; the difference is
/// for the other fields of the message, and for a single entry that is read beside the page.
pub const MESSAGE: usize = 3 * 1024 * 1024;
/// Maximum bytes of the runs of calls that share a transaction. Calls whose runs do not fit are repeated alone.
pub const BATCH: usize = 2 * 1024 * 1024;
/// Fields of a small, fixed size: numbers, times, ids.
const BASE: usize = 2_048;
/// Tag and length of a field, and of the message around it.
const FIELD: usize = 12;

/// Warnings: six about an expression, one about the policy and one about the source, each of up to 350 bytes.
const WARNINGS: usize = 3_072;

/// Something that is sent as an entry of a list or stream.
pub trait Size {
    /// An upper bound of the bytes of its message.
    fn size(&self) -> usize;
}

impl Size for Run {
    fn size(&self) -> usize {
        let Self { spec, state } = self;
        BASE + of_spec(spec) + of_state(state)
    }
}

fn of_spec(spec: &RunSpec) -> usize {
    texts(&spec.parameters.locations) + labels(&spec.labels) + spec.requested_by.len()
}

fn of_state(state: &RunState) -> usize {
    let failed = |one: &FailedLocation| 3 * FIELD + one.location.len() + one.reason.len();
    state.error_message.len() + state.progress.failed.iter().map(failed).sum::<usize>()
}

impl Size for ScheduledJob {
    fn size(&self) -> usize {
        let settings = &self.settings;
        let problems = self.problems.iter().map(|one| one.field.len() + one.description.len());
        BASE + texts(&settings.parameters.locations)
            + labels(&settings.labels)
            + settings.name.len()
            + settings.schedule.cron_expression().len()
            + self.gate.pause_reason.len()
            + problems.sum::<usize>()
            + WARNINGS
    }
}

impl Size for KeptLine {
    fn size(&self) -> usize {
        8 * FIELD + self.line.location.len() + self.line.text.len()
    }
}

impl Size for LedgerEntry {
    fn size(&self) -> usize {
        BASE + self.decided.reason.len() + self.server.len()
    }
}

fn texts(texts: &[String]) -> usize {
    texts.iter().map(|text| FIELD + text.len()).sum()
}

fn labels(labels: &Labels) -> usize {
    labels.iter().map(|(key, value)| 3 * FIELD + key.len() + value.len()).sum()
}
