//! Pauses between retries of a call.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// The lease may expire after a few seconds, so pauses stay short.
const LONGEST: Duration = Duration::from_secs(2);

/// Pauses that grow from `first` to about two seconds.
#[derive(Debug)]
pub(crate) struct Backoff(ExponentialBackoff);

impl Backoff {
    pub(crate) fn new(first: Duration) -> Self {
        let builder = ExponentialBuilder::new().with_min_delay(first).with_max_delay(LONGEST);
        Self(builder.with_jitter().without_max_times().build())
    }

    pub(crate) async fn pause(&mut self) {
        tokio::time::sleep(self.0.next().unwrap_or(LONGEST)).await;
    }
}
