//! The age of a connection. An old one is closed, so that clients spread over servers that were added.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

use super::Counts;

/// Time for the calls of an old connection to end after GOAWAY: that of the longest unary call. Watches are resumed on
/// another connection.
pub(super) const GRACE: Duration = Duration::from_mins(1);

/// The server of the protocol announces the end to the client at the same age.
#[derive(Debug)]
pub(super) struct Age {
    deadline: Pin<Box<Sleep>>,
    is_old: bool,
    counts: Arc<Counts>,
}

impl Age {
    pub(super) fn new(limit: Duration, counts: Arc<Counts>) -> Self {
        Self { deadline: Box::pin(sleep(limit)), is_old: false, counts }
    }

    /// Ready when the connection has to be closed.
    pub(super) fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.deadline.as_mut().poll(context).is_ready() {
            if self.is_old {
                return Poll::Ready(());
            }
            self.is_old = true;
            self.counts.aged.fetch_add(1, Ordering::Relaxed);
            self.deadline.as_mut().reset(Instant::now() + GRACE);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::sync::Semaphore;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_old_connection_is_counted_and_has_time_to_end() {
        let counts = Arc::new(Counts::new(Arc::new(Semaphore::new(1)), 1));
        let (limit, before) = (Duration::from_mins(5), Duration::from_secs(299));
        let mut age = Age::new(limit, Arc::clone(&counts));
        let mut ends = async |time| timeout(time, poll_fn(|it| age.poll_end(it))).await.is_ok();

        assert!(!ends(before).await);
        assert_eq!(counts.aged(), 0);
        assert!(!ends(GRACE).await);
        assert_eq!(counts.aged(), 1);
        assert!(ends(Duration::from_secs(2)).await);
        assert_eq!(counts.aged(), 1);
    }
}
