//! Signals from use cases to the loops and calls that wait for a change.
//!
//! A signal is a hint without data. Losing one only costs latency, because every waiter also polls.

use tokio::sync::Notify;

/// One signal for each kind of change.
#[derive(Debug, Default)]
pub struct Signals {
    /// A run may be ready to be leased. Wakes all waiting workers.
    pub work_available: Notify,
    /// A schedule may be due earlier than the scheduler expects.
    pub schedule_changed: Notify,
    /// Events were committed by this server, and the other servers have to be notified.
    pub events_committed: Notify,
    /// The cancellation of a running run may have been requested. Wakes all waiting heartbeats.
    pub leases_changed: Notify,
}
