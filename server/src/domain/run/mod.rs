//! A run: one execution of a scraping job, and the state machine that decides about it.
//!
//! A [`Run`] is a [`RunSpec`], which is decided once and then shared, and a [`RunState`], which is
//! everything that changes and everything that an event stores. Only [`RunState::apply`] makes a
//! state from another, so no event can touch a spec.

mod event;
mod lease;
mod new;
mod progress;
mod spec;
mod state;
#[cfg(test)]
mod tests;
mod values;

use std::sync::Arc;

use chrono::{DateTime, Utc};

pub use self::event::{Event, InvalidTransition};
pub use self::lease::Lease;
pub use self::new::NewRun;
pub use self::progress::{FailedLocation, Failure, LocationResult, Progress, REASON_LENGTH};
pub use self::spec::RunSpec;
pub use self::state::{CANCEL_GRACE, ERROR_LENGTH, RunState};
pub use self::values::{Counts, Origin, Priority, Status};

#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    pub spec: Arc<RunSpec>,
    pub state: RunState,
}

impl Run {
    /// Creates a pending run. `random` makes its id unique.
    pub fn new(new: NewRun, now: DateTime<Utc>, random: u64) -> Self {
        let available_at = new.available_at.unwrap_or(now).max(now);
        let spec = RunSpec::new(new, available_at, now, random);
        let state = RunState::pending(&spec, available_at);
        Self { spec: Arc::new(spec), state }
    }

    /// The run after `event`; its revision is one higher.
    pub fn apply(self, event: Event, now: DateTime<Utc>) -> Result<Self, InvalidTransition> {
        let state = self.state.apply(&self.spec, event, now)?;
        Ok(Self { spec: self.spec, state })
    }

    /// The run after several events that are one change: its revision is one higher, or the same without events.
    pub fn apply_as_one(
        self,
        events: impl IntoIterator<Item = Event>,
        now: DateTime<Utc>,
    ) -> Result<Self, InvalidTransition> {
        let before = self.state.revision;
        let mut run = events.into_iter().try_fold(self, |run, event| run.apply(event, now))?;
        run.state.revision = run.state.revision.min(before + 1);
        Ok(run)
    }

    /// Locations that the current attempt still has to scrape: those without a result, also of an earlier attempt.
    pub fn locations_to_scrape(&self) -> Vec<String> {
        self.state.progress.without_result(&self.spec.parameters.locations)
    }

    /// Locations that have not succeeded.
    pub fn remaining_locations(&self) -> Vec<String> {
        self.state.progress.remaining(&self.spec.parameters.locations)
    }
}
