//! Watches that survive lost connections and restarted servers: of one run until it ends, and of many runs
//! without end.
//!
//! Promises: every (run, revision) is returned once, the revisions of a run only increase, and no change of
//! status is missing; the server may merge changes of progress. The server delivers "at least once" after a
//! token; repeats are dropped here. A watch that cannot resume without a gap fails with an error.
//!
//! ```text
//! open(with the last token) ──▶ receive ──▶ final state: end      (one run)
//!        ▲                         │
//!        └── pause ◀── UNAVAILABLE, connection lost or idle
//! ```

mod all;
mod events;
mod one;
mod seen;

use crate::proto::ScrapingJobStatus;

pub use all::WatchAll;
pub use events::{WatchEvent, WatchEvents};
pub use one::WatchRun;

/// Behavior when changes are lost for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gap {
    Fails,
    StartsOver,
}

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
