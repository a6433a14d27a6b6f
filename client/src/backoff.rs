//! Pauses between attempts: doubled each time, capped, with jitter, so that the clients of a restarted
//! server do not all return at the same instant.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

/// Longest pause. A longer one would make a watch look dead to the person in front of it.
pub(crate) const LONGEST: Duration = Duration::from_secs(5);

/// 50 to 100 ms at first, 2.5 to 5 s at last: the jitter adds up to the pause itself.
const POLICY: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(50))
    .with_max_delay(Duration::from_millis(2_500))
    .without_max_times()
    .with_jitter();

/// The pauses after failures in a row.
#[derive(Debug)]
pub(crate) struct Backoff(<ExponentialBuilder as BackoffBuilder>::Backoff);

impl Backoff {
    pub(crate) fn new() -> Self {
        Self(POLICY.build())
    }

    /// The next pause. `retry_after` is the server's minimum; it is capped too, because one odd answer must
    /// not stop the client.
    pub(crate) fn next(&mut self, retry_after: Option<Duration>) -> Duration {
        let pause = self.0.next().unwrap_or(LONGEST);
        pause.max(retry_after.unwrap_or_default()).min(LONGEST)
    }

    /// The next pause is a first one again.
    pub(crate) fn reset(&mut self) {
        *self = Self::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_grows_up_to_the_longest() {
        let mut backoff = Backoff::new();
        let first = backoff.next(None);
        let later = (0..100).map(|_| backoff.next(None)).last().unwrap();
        backoff.reset();
        let again = backoff.next(None);

        for short in [first, again] {
            assert!((Duration::from_millis(50)..=Duration::from_millis(100)).contains(&short));
        }
        assert!((LONGEST / 2..=LONGEST).contains(&later), "{later:?}");
    }

    #[test]
    fn the_servers_retry_delay_is_kept_up_to_the_longest() {
        assert_eq!(Backoff::new().next(Some(Duration::from_secs(2))), Duration::from_secs(2));
        assert_eq!(Backoff::new().next(Some(Duration::from_hours(1))), LONGEST);
    }
}
