//! Signals from use cases to the loops and calls that wait for a change.
//!
//! A signal is a hint without data. Losing one only costs latency, because every waiter also polls.

use std::collections::BTreeSet;

use tokio::sync::Notify;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{Receiver, Sender};

/// One signal for each kind of change.
#[derive(Debug, Default)]
pub struct Signals {
    /// Runs may be ready to be leased.
    pub work_available: WorkSignal,
    /// A schedule may be due earlier than the scheduler expects.
    pub schedule_changed: Notify,
    /// Events were committed by this server, and the other servers have to be notified.
    pub events_committed: Notify,
    /// The cancellation of a running run may have been requested. Wakes all waiting heartbeats.
    pub leases_changed: Notify,
}

/// Runs that may be ready to be leased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    OfSources(BTreeSet<String>),
    /// Of any source, because a limit or an earlier tick may have held them back.
    Any,
}

impl Work {
    pub(super) fn none() -> Self {
        Self::OfSources(BTreeSet::new())
    }

    fn concerns(&self, sources: &BTreeSet<String>) -> bool {
        match self {
            Self::OfSources(these) => !these.is_disjoint(sources),
            Self::Any => true,
        }
    }
}

impl FromIterator<Self> for Work {
    fn from_iter<T: IntoIterator<Item = Self>>(all: T) -> Self {
        all.into_iter().fold(Self::none(), |sum, work| match (sum, work) {
            (Self::OfSources(mut sum), Self::OfSources(sources)) => {
                sum.extend(sources);
                Self::OfSources(sum)
            }
            _ => Self::Any,
        })
    }
}

/// Wakes the waiting workers whose sources may have work.
#[derive(Clone, Debug)]
pub struct WorkSignal(Sender<Work>);

impl Default for WorkSignal {
    fn default() -> Self {
        // A waiter that misses some signals wakes up, too.
        const RETAINED: usize = 16;
        Self(Sender::new(RETAINED))
    }
}

impl WorkSignal {
    pub fn send(&self, work: Work) {
        if work != Work::none() {
            // An error means that nobody waits.
            drop(self.0.send(work));
        }
    }

    /// Signals from now on reach this waiter, even before it waits.
    pub fn waiter(&self) -> WorkWaiter {
        WorkWaiter(self.0.subscribe())
    }
}

/// A worker that waits for work.
#[derive(Debug)]
pub struct WorkWaiter(Receiver<Work>);

impl WorkWaiter {
    pub async fn work_of(&mut self, sources: &BTreeSet<String>) {
        loop {
            match self.0.recv().await {
                Ok(work) if !work.concerns(sources) => {}
                Ok(_) | Err(RecvError::Lagged(_) | RecvError::Closed) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn sources(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_worker_wakes_up_for_its_sources_only() {
        let signal = WorkSignal::default();
        let (mut one, mut both) = (signal.waiter(), signal.waiter());
        let (a, ab) = (sources(&["a"]), sources(&["a", "b"]));
        signal.send(Work::OfSources(sources(&["b"])));
        assert_eq!(one.work_of(&a).now_or_never(), None);
        assert_eq!(both.work_of(&ab).now_or_never(), Some(()));
        signal.send([Work::none(), Work::Any].into_iter().collect());
        assert_eq!(one.work_of(&a).now_or_never(), Some(()));
    }

    #[test]
    fn a_worker_that_missed_signals_wakes_up() {
        let signal = WorkSignal::default();
        let mut waiter = signal.waiter();
        for _ in 0..100 {
            signal.send(Work::OfSources(sources(&["b"])));
        }
        assert_eq!(waiter.work_of(&sources(&["a"])).now_or_never(), Some(()));
    }
}
