//! The inbox of a watch: committed changes that it has not received yet.
//!
//! An inbox is bounded, and does not keep its changes in memory: the replay buffer that all watches share does. When an
//! inbox is full it is emptied, and the watch catches up from the replay buffer or from the database.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;

use super::change::Change;
use crate::domain::filter::{RunFilter, Visibility};
use crate::domain::id::RunId;
use crate::store::feed::FeedPosition;

/// Most changes in the inbox of a watch that does not read.
const CHANGES: usize = 128;
/// Most bytes of these changes: runs with a thousand locations are large.
const BYTES: usize = 256 * 1024;

/// Selects the changes of an inbox.
#[derive(Clone, Debug)]
pub(super) enum Interest {
    Run(RunId),
    Selection(Box<RunFilter>),
}

#[derive(Debug)]
pub(super) struct Inbox {
    pub(super) interest: Interest,
    held: Mutex<Held>,
    news: Notify,
}

/// All changes of interest in `from..=until`.
#[derive(Debug)]
struct Held {
    changes: Vec<Weak<Change>>,
    bytes: usize,
    from: FeedPosition,
    until: FeedPosition,
    has_lost: bool,
    is_reset: bool,
}

/// Result of reading an inbox.
#[derive(Debug)]
pub(super) enum Received {
    /// The feed has started a new epoch.
    Reset,
    /// The inbox starts after the watch's position; the changes in between must be read elsewhere.
    Lagged,
    /// The changes up to a position.
    Changes(Vec<Arc<Change>>, FeedPosition),
}

impl Inbox {
    pub(super) fn new(interest: Interest, from: FeedPosition) -> Self {
        let held = Held {
            changes: Vec::new(),
            bytes: 0,
            from,
            until: from,
            has_lost: false,
            is_reset: false,
        };
        Self { interest, held: Mutex::new(held), news: Notify::new() }
    }

    /// Adds the changes of interest; `until` is the position of the feed after them. Returns false if the inbox
    /// overflowed and was emptied.
    pub(super) fn offer(&self, changes: &[Arc<Change>], until: FeedPosition) -> bool {
        let mut held = self.held();
        let before = held.changes.len();
        for change in changes.iter().filter(|change| self.wants(change)) {
            held.bytes += change.size;
            held.changes.push(Arc::downgrade(change));
        }
        let has_news = held.changes.len() > before;
        held.until = held.until.max(until);
        let is_full =
            held.changes.len() > CHANGES || (held.bytes > BYTES && held.changes.len() > 1);
        if is_full {
            held.lose(until);
        }
        drop(held);
        if has_news {
            self.news.notify_one();
        }
        !is_full
    }

    /// Continues at `position`; the watch must read earlier changes elsewhere.
    pub(super) fn skip_to(&self, position: FeedPosition) {
        self.held().lose(position);
        self.news.notify_one();
    }

    /// Ends the watch, because the feed has started a new epoch.
    pub(super) fn reset(&self) {
        self.held().is_reset = true;
        self.news.notify_one();
    }

    /// Empties the inbox for a watch of a selection that has everything up to `position`.
    pub(super) fn receive_after(&self, position: FeedPosition) -> Received {
        let mut held = self.held();
        if held.is_reset {
            return Received::Reset;
        }
        if position < held.from {
            return Received::Lagged;
        }
        let until = held.until.max(position);
        let Some(mut changes) = held.take() else {
            held.lose(until);
            return Received::Lagged;
        };
        (held.from, held.until) = (until, until);
        drop(held);
        changes.retain(|change| change.position > position);
        Received::Changes(changes, until)
    }

    /// Empties the inbox for a watch of one run, which goes by revisions.
    pub(super) fn receive(&self) -> Received {
        let mut held = self.held();
        if held.is_reset {
            return Received::Reset;
        }
        if std::mem::take(&mut held.has_lost) {
            return Received::Lagged;
        }
        match held.take() {
            Some(changes) => Received::Changes(changes, held.until),
            None => Received::Lagged,
        }
    }

    /// Waits until something arrives, or has arrived since the inbox was last emptied.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }

    fn wants(&self, change: &Change) -> bool {
        match &self.interest {
            Interest::Run(run) => *run == change.run.run.spec.id,
            Interest::Selection(selection) => {
                let Change { run, before, after, .. } = change;
                selection.visibility(&run.run, *before, *after) != Visibility::Hidden
            }
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Empties the inbox; `None` if some of its changes are no longer in memory.
    fn take(&mut self) -> Option<Vec<Arc<Change>>> {
        self.bytes = 0;
        std::mem::take(&mut self.changes).iter().map(Weak::upgrade).collect()
    }

    fn lose(&mut self, until: FeedPosition) {
        (self.changes, self.bytes) = (Vec::new(), 0);
        self.has_lost = true;
        (self.from, self.until) = (until, until);
    }
}
