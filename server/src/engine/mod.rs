//! Background loops, driven by time instead of requests, and the transport of the server's own worker.
//!
//! A loop has a `run`, which waits, and a `tick`, which does one pass. Signals only shorten the wait: if all of
//! them were lost, the loops would be slower but still correct.

mod limit_keeper;
mod local_worker;
mod notifier;
mod pruner;
mod reaper;
mod rule_keeper;
mod scheduler;
mod timekeeper;

pub use self::limit_keeper::LimitKeeper;
pub use self::local_worker::LocalTransport;
pub use self::notifier::Notifier;
pub use self::pruner::Pruner;
pub use self::reaper::Reaper;
pub use self::rule_keeper::RuleKeeper;
pub use self::scheduler::Scheduler;
pub use self::timekeeper::Timekeeper;

use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Waits for the signal, the end of `at_most` or the stop, whichever comes first.
async fn wait(stop: &CancellationToken, signal: &Notify, at_most: Duration) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = signal.notified() => {}
        () = tokio::time::sleep(at_most) => {}
    }
}

/// Waits for `length` or until the stop.
async fn pause(stop: &CancellationToken, length: Duration) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(length) => {}
    }
}
