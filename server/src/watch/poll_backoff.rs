//! Time until the hub polls again.
//!
//! A committed change stays hidden while an earlier transaction is open, and no notification announces that
//! transaction's end. So after a hint the hub polls often, with growing pauses, until it has read everything
//! that the hint may have been about. (Not `backon`: this backs off towards a position in the feed, and each
//! hint resets it.)

use std::time::Duration;

use crate::store::feed::FeedPosition;

/// Pause between polls without hints: the delay that a lost hint costs.
pub(super) const POLL: Duration = Duration::from_secs(1);
/// First pause while changes are held back. Each further pause is twice as long, up to [`POLL`].
const SOON: Duration = Duration::from_millis(10);

#[derive(Debug)]
pub(super) struct PollBackoff {
    expected: FeedPosition,
    soon: Duration,
}

impl PollBackoff {
    pub(super) fn new() -> Self {
        Self { expected: FeedPosition::default(), soon: SOON }
    }

    /// Expects changes before `end`: something was committed there.
    pub(super) fn expect(&mut self, end: FeedPosition) {
        self.expected = end;
        self.soon = SOON;
    }

    /// Time to wait for a hint after everything before `horizon` was read.
    pub(super) fn pause(&mut self, horizon: FeedPosition) -> Duration {
        if horizon >= self.expected {
            return POLL;
        }
        let pause = self.soon;
        self.soon = (pause * 2).min(POLL);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn before(xid: i64) -> FeedPosition {
        FeedPosition { xid, id: 0 }
    }

    #[test]
    fn polls_for_held_back_changes_back_off() {
        let mut backoff = PollBackoff::new();
        backoff.expect(before(9));
        let pauses: Vec<_> = (0..9).map(|_| backoff.pause(before(8)).as_millis()).collect();
        assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 640, 1_000, 1_000]);
        backoff.expect(before(11));
        assert_eq!(backoff.pause(before(8)), SOON);
    }

    #[test]
    fn transactions_without_a_hint_are_not_waited_for() {
        let mut backoff = PollBackoff::new();
        assert_eq!(backoff.pause(before(8)), POLL);
        backoff.expect(before(9));
        assert_eq!(backoff.pause(before(9)), POLL);
    }
}
