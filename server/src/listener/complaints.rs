//! Messages about something that happens often: said at once, then counted for a minute.

use std::time::Duration;

use tokio::time::Instant;

const INTERVAL: Duration = Duration::from_mins(1);

#[derive(Debug, Default)]
pub(super) struct Complaints {
    said_at: Option<Instant>,
    /// Since the last message.
    count: u64,
    /// Since the last success.
    in_a_row: u64,
}

impl Complaints {
    /// Counts one; the number since the last message if it is time for another.
    pub(super) fn add(&mut self) -> Option<u64> {
        self.count += 1;
        self.in_a_row += 1;
        if self.said_at.is_some_and(|said_at| said_at.elapsed() < INTERVAL) {
            return None;
        }
        self.said_at = Some(Instant::now());
        Some(std::mem::take(&mut self.count))
    }

    /// Notes a success; the number of complaints before it.
    pub(super) fn over(&mut self) -> Option<u64> {
        Some(std::mem::take(&mut self.in_a_row)).filter(|count| *count > 0)
    }
}
