//! What was committed and a watch has not taken yet: bounded, and emptied when it is full, for the last
//! changes are kept for all watches, and the database has everything.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::domain::id::RunId;
use crate::domain::matching::{RunSelection, Visibility};
use crate::store::feed::{Change, FeedPosition};

/// Most changes that are kept for a watch that does not take them.
const CHANGES: usize = 128;
/// Most bytes of them, as runs of a thousand locations are large.
const BYTES: usize = 256 * 1024;

/// What a watch is about.
#[derive(Clone, Debug)]
pub(super) enum Interest {
    Run(RunId),
    Selection(Box<RunSelection>),
}

/// The inbox of one watch.
#[derive(Debug)]
pub(super) struct Inbox {
    pub(super) interest: Interest,
    held: Mutex<Held>,
    news: Notify,
}

/// All changes that the watch wants in `from..=until`.
#[derive(Debug)]
struct Held {
    changes: Vec<Arc<Change>>,
    bytes: usize,
    from: FeedPosition,
    until: FeedPosition,
    has_lost: bool,
    is_reset: bool,
}

/// What a watch finds.
#[derive(Debug)]
pub(super) enum Taken {
    /// The feed is another one now.
    Reset,
    /// The inbox begins after the watch's place; what is in between is elsewhere.
    Lagged,
    /// The changes up to a place.
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

    /// Puts in those of the changes that are interest; `until` is where the feed stands after them. False if
    /// there was no room, and the inbox was emptied.
    pub(super) fn offer(&self, changes: &[Arc<Change>], until: FeedPosition) -> bool {
        let mut held = self.held();
        let before = held.changes.len();
        for change in changes.iter().filter(|change| self.wants(change)) {
            held.bytes += change.size;
            held.changes.push(Arc::clone(change));
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

    /// Nothing before `position` will be put in.
    pub(super) fn skip_to(&self, position: FeedPosition) {
        self.held().lose(position);
        self.news.notify_one();
    }

    /// The feed is another one now.
    pub(super) fn reset(&self) {
        self.held().is_reset = true;
        self.news.notify_one();
    }

    /// Takes what there is for a watch of a selection that has seen everything up to `position`.
    pub(super) fn take_after(&self, position: FeedPosition) -> Taken {
        let mut held = self.held();
        if held.is_reset {
            return Taken::Reset;
        }
        if position < held.from {
            return Taken::Lagged;
        }
        let until = held.until.max(position);
        let mut changes = held.empty();
        (held.from, held.until) = (until, until);
        drop(held);
        changes.retain(|change| change.position > position);
        Taken::Changes(changes, until)
    }

    /// Takes what there is for a watch of one run, which goes by revisions.
    pub(super) fn take(&self) -> Taken {
        let mut held = self.held();
        if held.is_reset {
            return Taken::Reset;
        }
        if std::mem::take(&mut held.has_lost) {
            return Taken::Lagged;
        }
        Taken::Changes(held.empty(), held.until)
    }

    /// Ends when something was put in since it was last taken.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }

    fn wants(&self, change: &Change) -> bool {
        match &self.interest {
            Interest::Run(run) => *run == change.run.spec.id,
            Interest::Selection(selection) => {
                selection.visibility(&change.run, change.before) != Visibility::Hidden
            }
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn empty(&mut self) -> Vec<Arc<Change>> {
        self.bytes = 0;
        std::mem::take(&mut self.changes)
    }

    fn lose(&mut self, until: FeedPosition) {
        self.empty();
        self.has_lost = true;
        (self.from, self.until) = (until, until);
    }
}
