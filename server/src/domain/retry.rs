//! When to try a failed attempt again.

use std::time::Duration;

/// Attempts of a run before it fails for good.
pub const MAX_ATTEMPTS: i32 = 3;
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(1);

/// How long to wait after the failed attempt with this number: doubles from a second, up to a minute.
pub fn delay_after(attempt: i32) -> Duration {
    let doublings = u32::try_from(attempt.saturating_sub(1)).unwrap_or(0).min(16);
    FIRST.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_doubles_up_to_a_minute() {
        let seconds: Vec<u64> = [1, 2, 3, 7, i32::MAX].map(|n| delay_after(n).as_secs()).to_vec();
        assert_eq!(seconds, [1, 2, 4, 60, 60]);
    }
}
