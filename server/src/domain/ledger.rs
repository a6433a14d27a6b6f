//! Entries of the tick ledger.

use chrono::{DateTime, Utc};

use super::tick::TickOutcome;

/// A recorded decision about a tick, or about a range of ticks.
#[derive(Clone, Debug, PartialEq)]
pub struct LedgerEntry {
    pub decided: TickOutcome,
    /// The run that the tick created.
    pub job_id: Option<String>,
    pub decided_at: DateTime<Utc>,
    pub server: String,
    /// Revision of the job's settings that applied.
    pub revision: i64,
    /// The run that a backfill created for the tick; none for a range of ticks.
    pub backfill_job_id: Option<String>,
}
