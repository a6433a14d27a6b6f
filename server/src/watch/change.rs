//! A change as watches share it: read once, and encoded once for all of them.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::domain::filter::FilteredState;
use crate::domain::run::Run;
use crate::domain::size::Size;
use crate::store::feed::{self, FeedPosition};

/// A run in a message. The edge keeps its encodings here, so that a change costs the same for any number of
/// watches.
#[derive(Debug)]
pub struct WatchedRun {
    pub run: Run,
    basic: OnceLock<Bytes>,
    full: OnceLock<Bytes>,
}

/// Amount of detail of an encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    Basic,
    Full,
}

impl WatchedRun {
    pub(super) fn new(run: Run) -> Arc<Self> {
        Arc::new(Self { run, basic: OnceLock::new(), full: OnceLock::new() })
    }

    /// The encoding of the run, made by the first caller.
    pub fn encoded(&self, detail: Detail, encode: impl FnOnce(&Run) -> Vec<u8>) -> Bytes {
        let encoding = match detail {
            Detail::Basic => &self.basic,
            Detail::Full => &self.full,
        };
        encoding.get_or_init(|| Bytes::from(encode(&self.run))).clone()
    }
}

/// A change of a run.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) run: Arc<WatchedRun>,
    /// The filterable state before the change; `None` for a new run.
    pub(super) before: Option<FilteredState>,
    pub(super) after: FilteredState,
    pub(super) position: FeedPosition,
    /// Bytes in memory, without encodings.
    pub(super) size: usize,
}

impl Change {
    /// Whether only the progress changed.
    pub(super) fn is_progress(&self) -> bool {
        self.before.is_some_and(|before| before.status == self.after.status)
    }
}

impl From<feed::Change> for Change {
    fn from(feed::Change { run, before, after, position }: feed::Change) -> Self {
        Self { size: run.size(), run: WatchedRun::new(run), before, after, position }
    }
}
