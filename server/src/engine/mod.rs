//! What time drives: loops that decide ticks and keep order, and the server's own worker.
//!
//! A loop is a `run`, which waits, and a `tick`, which does one pass. Signals shorten the waiting;
//! losing every wake costs latency and nothing else.

mod local_worker;
mod notifier;
mod pruner;
mod reaper;
mod scheduler;
mod timekeeper;

pub use self::local_worker::LocalTransport;
pub use self::notifier::Notifier;
pub use self::pruner::Pruner;
pub use self::reaper::Reaper;
pub use self::scheduler::Scheduler;
pub use self::timekeeper::Timekeeper;

use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Waits for a wake, the time or the stop, whichever comes first.
async fn wait(stop: &CancellationToken, wake: &Notify, at_most: Duration) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = wake.notified() => {}
        () = tokio::time::sleep(at_most) => {}
    }
}

/// Waits for the time or the stop.
async fn pause(stop: &CancellationToken, length: Duration) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(length) => {}
    }
}
