//! Signals: hints that something changed. They carry no data, and losing one costs only latency,
//! because every loop also looks by itself.

use tokio::sync::Notify;

/// One wake for each loop that waits.
#[derive(Debug, Default)]
pub struct Signals {
    /// A run may be ready to be leased. For all who wait.
    pub work: Notify,
    /// A schedule may be due earlier than thought.
    pub scheduler: Notify,
    /// Events were committed here, of which other servers should know.
    pub notifier: Notify,
    /// A running run may have been cancelled. For all who wait.
    pub leases: Notify,
}
