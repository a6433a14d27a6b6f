//! The latest changes, kept once for all watches of a server. A watch whose inbox overflowed catches up from
//! here, so thousands of lagging watches do not all read the same changes from the database.

use std::collections::VecDeque;
use std::sync::Arc;

use super::change::Change;
use crate::store::feed::FeedPosition;

/// Most changes in the buffer.
const CHANGES: usize = 8_192;
/// Most bytes in the buffer: runs with a thousand locations are large. With their encodings they take twice as much.
const BYTES: usize = 16 * 1024 * 1024;
/// Most changes that a watch takes at once, and their bytes: it holds them until its client reads them.
const TAKEN: usize = 128;
const TAKEN_BYTES: usize = 64 * 1024;

/// All changes after `from`, up to the position of the feed.
#[derive(Debug)]
pub(super) struct ReplayBuffer {
    changes: VecDeque<Arc<Change>>,
    bytes: usize,
    from: FeedPosition,
}

impl ReplayBuffer {
    /// An empty buffer for the changes after `from`.
    pub(super) fn new(from: FeedPosition) -> Self {
        Self { changes: VecDeque::new(), bytes: 0, from }
    }

    /// Adds the next changes, and drops the oldest beyond the limits.
    pub(super) fn add(&mut self, changes: &[Arc<Change>]) {
        self.bytes += changes.iter().map(|change| change.size).sum::<usize>();
        self.changes.extend(changes.iter().cloned());
        while self.changes.len() > CHANGES || self.bytes > BYTES {
            let Some(oldest) = self.changes.pop_front() else { break };
            self.bytes -= oldest.size;
            self.from = oldest.position;
        }
    }

    /// The first changes after `position`; `None` if some of them were dropped.
    pub(super) fn after(&self, position: FeedPosition) -> Option<Vec<Arc<Change>>> {
        if position < self.from {
            return None;
        }
        let first = self.changes.partition_point(|change| change.position <= position);
        let mut bytes = 0;
        let fits = |change: &&Arc<Change>| {
            bytes += change.size;
            bytes <= TAKEN_BYTES || bytes == change.size
        };
        Some(self.changes.range(first..).take(TAKEN).take_while(fits).cloned().collect())
    }

    /// Whether there are changes after `position`.
    pub(super) fn has_after(&self, position: FeedPosition) -> bool {
        self.changes.back().is_some_and(|last| last.position > position)
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::domain::filter::FilteredState;
    use crate::domain::labels::Labels;
    use crate::domain::parameters::ScrapeParameters;
    use crate::domain::policy::RunPolicy;
    use crate::domain::run::{NewRun, Origin, Priority, Run};
    use crate::watch::WatchedRun;

    fn at(xid: i64) -> FeedPosition {
        FeedPosition { xid, id: xid }
    }

    fn change(xid: i64, size: usize) -> Arc<Change> {
        let new = NewRun {
            origin: Origin::Immediate,
            scheduled_job_id: None,
            original_job_id: None,
            priority: Priority::Normal,
            parameters: ScrapeParameters::default(),
            requested_by: String::new(),
            labels: Labels::new(),
            tick_at: None,
            available_at: None,
            queued: false,
            policy: RunPolicy::default(),
        };
        let run = Run::new(new, DateTime::UNIX_EPOCH, 1);
        let after = FilteredState::of(&run);
        let run = WatchedRun::new(run);
        Arc::new(Change { run, before: None, after, position: at(xid), size })
    }

    fn positions(changes: &[Arc<Change>]) -> Vec<FeedPosition> {
        changes.iter().map(|change| change.position).collect()
    }

    #[test]
    fn changes_after_a_position_come_page_by_page() {
        let mut recent = ReplayBuffer::new(at(10));
        recent.add(&[change(11, TAKEN_BYTES + 1), change(12, TAKEN_BYTES - 1), change(13, 1)]);
        recent.add(&[change(15, 1)]);
        let after = |at| positions(&recent.after(at).unwrap());
        assert_eq!(after(at(10)), [at(11)], "a large change comes alone");
        assert_eq!(after(at(11)), [at(12), at(13)]);
        assert_eq!(after(FeedPosition { xid: 14, id: 0 }), [at(15)]);
        assert_eq!(after(at(15)), []);
        assert!(recent.has_after(at(13)));
        assert!(!recent.has_after(at(15)));
    }

    #[test]
    fn changes_before_the_buffer_or_dropped_from_it_are_not_found() {
        let mut recent = ReplayBuffer::new(at(10));
        assert!(recent.after(at(9)).is_none());
        recent.add(&[change(11, BYTES), change(12, 1)]);
        assert!(recent.after(at(10)).is_none());
        assert_eq!(positions(&recent.after(at(11)).unwrap()), [at(12)]);
        let many: Vec<_> = (13..).map(|xid| change(xid, 1)).take(CHANGES).collect();
        recent.add(&many);
        assert!(recent.after(at(11)).is_none());
        assert_eq!(positions(&recent.after(at(12)).unwrap()).first(), Some(&at(13)));
    }
}
