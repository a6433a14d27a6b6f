//! The latest changes, kept once for all watches of a server. A watch whose inbox overflowed catches up from
//! here, so thousands of lagging watches do not all read the same changes from the database.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::store::feed::{Change, FeedPosition};

/// Most changes in the buffer.
const CHANGES: usize = 8_192;
/// Most bytes in the buffer: runs with a thousand locations are large.
const BYTES: usize = 16 * 1024 * 1024;

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
    pub(super) fn after(&self, position: FeedPosition, limit: usize) -> Option<Vec<Arc<Change>>> {
        if position < self.from {
            return None;
        }
        let first = self.changes.partition_point(|change| change.position <= position);
        Some(self.changes.range(first..).take(limit).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::domain::labels::Labels;
    use crate::domain::parameters::ScrapeParameters;
    use crate::domain::policy::RunPolicy;
    use crate::domain::run::{NewRun, Origin, Priority, Run};

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
        let run = Arc::new(Run::new(new, DateTime::UNIX_EPOCH, 1));
        Arc::new(Change { run, before: None, position: at(xid), size })
    }

    fn positions(changes: &[Arc<Change>]) -> Vec<FeedPosition> {
        changes.iter().map(|change| change.position).collect()
    }

    #[test]
    fn changes_after_a_position_come_page_by_page() {
        let mut recent = ReplayBuffer::new(at(10));
        recent.add(&[change(11, 1), change(12, 1)]);
        recent.add(&[change(15, 1)]);
        assert_eq!(positions(&recent.after(at(10), 2).unwrap()), [at(11), at(12)]);
        assert_eq!(positions(&recent.after(at(12), 2).unwrap()), [at(15)]);
        assert_eq!(positions(&recent.after(FeedPosition { xid: 14, id: 0 }, 2).unwrap()), [at(15)]);
        assert_eq!(positions(&recent.after(at(15), 2).unwrap()), []);
    }

    #[test]
    fn changes_before_the_buffer_or_dropped_from_it_are_not_found() {
        let mut recent = ReplayBuffer::new(at(10));
        assert!(recent.after(at(9), 2).is_none());
        recent.add(&[change(11, BYTES), change(12, 1)]);
        assert!(recent.after(at(10), 2).is_none());
        assert_eq!(positions(&recent.after(at(11), 2).unwrap()), [at(12)]);
        let many: Vec<_> = (13..).map(|xid| change(xid, 1)).take(CHANGES).collect();
        recent.add(&many);
        assert!(recent.after(at(11), 2).is_none());
        assert_eq!(positions(&recent.after(at(12), 1).unwrap()), [at(13)]);
    }
}
