//! When the hub looks again. A change is committed before the feed may show it as long as an earlier
//! transaction is open, whose end nobody tells: so the hub looks again soon for what it was told of.

use std::time::Duration;

use crate::store::feed::FeedPosition;

/// How often it looks without being told: what a lost hint costs.
pub(super) const POLL: Duration = Duration::from_secs(1);
/// The first look for what is held back. Each later one takes twice as long, up to the poll.
const SOON: Duration = Duration::from_millis(10);

/// What is still expected, and for how long to wait for it.
#[derive(Debug)]
pub(super) struct PollBackoff {
    expected: FeedPosition,
    soon: Duration,
}

impl PollBackoff {
    pub(super) fn new() -> Self {
        Self { expected: FeedPosition::default(), soon: SOON }
    }

    /// Something was committed before the feed's `end`.
    pub(super) fn expect(&mut self, end: FeedPosition) {
        self.expected = end;
        self.soon = SOON;
    }

    /// How long to wait for a hint after everything before `horizon` was read.
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
    fn what_is_held_back_is_looked_for_soon_and_then_less_often() {
        let mut pace = PollBackoff::new();
        pace.expect(before(9));
        let pauses: Vec<_> = (0..9).map(|_| pace.pause(before(8)).as_millis()).collect();
        assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 640, 1_000, 1_000]);
        pace.expect(before(11));
        assert_eq!(pace.pause(before(8)), SOON);
    }

    #[test]
    fn transactions_that_nobody_told_of_are_not_waited_for() {
        let mut pace = PollBackoff::new();
        assert_eq!(pace.pause(before(8)), POLL);
        pace.expect(before(9));
        assert_eq!(pace.pause(before(9)), POLL);
    }
}
