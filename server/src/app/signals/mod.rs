//! Signals from use cases to the loops and calls that wait for a change.
//!
//! A signal is a hint without data. Losing one only costs latency, because every waiter also polls.

mod waiting_workers;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Notify;

pub(super) use self::waiting_workers::TooManyWaiting;
use self::waiting_workers::WaitingWorkers;

/// Number of runs of a change that does not say how many it concerns.
const UNCOUNTED: usize = 16;

/// One signal for each kind of change.
#[derive(Debug, Default)]
pub struct Signals {
    /// Runs may be ready to be leased.
    pub work_available: Arc<WaitingWorkers>,
    /// A schedule may be due earlier than the scheduler expects.
    pub schedule_changed: Notify,
    /// Events were committed by this server, and the other servers have to be notified.
    pub events_committed: Notify,
    /// The cancellation of a running run may have been requested. Wakes all waiting heartbeats.
    pub leases_changed: Notify,
}

/// The number of runs that may be ready to be leased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    BySource(BTreeMap<String, usize>),
    /// Of any source, because a limit or an earlier tick may have held them back.
    Any(usize),
}

impl Work {
    pub(super) fn none() -> Self {
        Self::BySource(BTreeMap::new())
    }

    /// Of any source, in a number that is not known.
    pub(super) fn uncounted() -> Self {
        Self::Any(UNCOUNTED)
    }

    pub(super) fn of_sources<'a>(
        sources: impl IntoIterator<Item = &'a String>,
        runs: usize,
    ) -> Self {
        Self::BySource(sources.into_iter().map(|source| (source.clone(), runs)).collect())
    }

    fn count(&self) -> usize {
        match self {
            Self::BySource(counts) => counts.values().sum(),
            Self::Any(count) => *count,
        }
    }
}

impl FromIterator<Self> for Work {
    fn from_iter<T: IntoIterator<Item = Self>>(all: T) -> Self {
        all.into_iter().fold(Self::none(), |sum, work| match (sum, work) {
            (Self::BySource(mut sum), Self::BySource(counts)) => {
                for (source, count) in counts {
                    *sum.entry(source).or_default() += count;
                }
                Self::BySource(sum)
            }
            (sum, work) => Self::Any(sum.count() + work.count()),
        })
    }
}
