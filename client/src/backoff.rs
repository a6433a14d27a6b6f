//! How long to wait before trying again: doubled each time, capped, with jitter, so that the clients
//! of a restarted server do not all return at one instant.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);

/// Longer pauses would make a watch look dead to the person in front of it.
pub(crate) const CAP: Duration = Duration::from_secs(5);

/// The pause after the given number of failures in a row. `at_least` is what the server asked for;
/// it is capped too, lest one odd answer stop the client.
pub(crate) fn pause(failures: u32, at_least: Option<Duration>) -> Duration {
    let doubled = FIRST.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(CAP);
    let asked = at_least.unwrap_or_default().min(CAP);
    doubled.mul_f64(rand::random_range(0.5..=1.0)).max(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_grows_up_to_the_cap() {
        assert!(pause(1, None) <= FIRST);
        assert!(pause(1, None) >= FIRST / 2);
        assert!(pause(100, None) >= CAP / 2);
        assert!(pause(100, None) <= CAP);
    }

    #[test]
    fn the_servers_wish_is_heard_up_to_the_cap() {
        assert_eq!(pause(1, Some(Duration::from_secs(2))), Duration::from_secs(2));
        assert_eq!(pause(1, Some(Duration::from_hours(1))), CAP);
    }
}
