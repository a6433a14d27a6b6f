//! Watches that survive lost connections and restarted servers: of one run until it ends, and of all runs
//! without end.
//!
//! Promises: each (run, revision) comes once, the revisions of a run only grow, and no change of status is
//! left out; progress in between may be merged by the server. The server promises "at least once" after a
//! token; what comes twice is dropped here. Where a watch cannot go on without a gap it says so by an error.
//!
//! ```text
//! open(from the last token) ──▶ receive ──▶ final state: end      (one run)
//!        ▲                        │
//!        └── pause ◀── UNAVAILABLE, connection lost or silent
//! ```

mod all;
mod events;
mod one;
mod seen;

use std::time::Duration;

use crate::proto::ScrapingJobStatus;

pub use events::{WatchEvent, WatchEvents};

/// A server bookmarks a stream without news every ten seconds. Three are missing: the stream is dead,
/// whatever its connection says.
pub const SILENCE: Duration = Duration::from_secs(30);

fn is_final(status: ScrapingJobStatus) -> bool {
    match status {
        ScrapingJobStatus::Completed | ScrapingJobStatus::Failed | ScrapingJobStatus::Cancelled => {
            true
        }
        ScrapingJobStatus::Unspecified
        | ScrapingJobStatus::Pending
        | ScrapingJobStatus::Running => false,
    }
}

#[cfg(test)]
mod tests;
