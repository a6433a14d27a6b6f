//! The inboxes of all watches on this server, and the position up to which they were filled.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sqlx::types::Uuid;

use super::change::Change;
use super::inbox::{Inbox, Interest};
use super::replay_buffer::ReplayBuffer;
use crate::domain::id::{RunId, ScheduledJobId};
use crate::store::feed::FeedPosition;

#[derive(Debug)]
pub(super) struct Registry(Mutex<State>);

#[derive(Debug)]
struct State {
    epoch: Uuid,
    position: FeedPosition,
    /// The last changes up to the position.
    recent: ReplayBuffer,
    /// Indexed, so that a change costs nothing for the watches of other runs and jobs.
    of_runs: HashMap<RunId, Vec<Arc<Inbox>>>,
    of_jobs: HashMap<ScheduledJobId, Vec<Arc<Inbox>>>,
    of_all: Vec<Arc<Inbox>>,
}

impl Registry {
    pub(super) fn new(epoch: Uuid, position: FeedPosition) -> Self {
        let (of_runs, of_jobs, of_all) = (HashMap::new(), HashMap::new(), Vec::new());
        let recent = ReplayBuffer::new(position);
        Self(Mutex::new(State { epoch, position, recent, of_runs, of_jobs, of_all }))
    }

    pub(super) fn epoch(&self) -> Uuid {
        self.state().epoch
    }

    pub(super) fn position(&self) -> FeedPosition {
        self.state().position
    }

    /// Adds an inbox that receives every change from now on, and returns it with the feed's epoch.
    pub(super) fn add(&self, interest: Interest) -> (Arc<Inbox>, Uuid) {
        let mut state = self.state();
        let inbox = Arc::new(Inbox::new(interest, state.position));
        let inboxes = match &inbox.interest {
            Interest::Run(run) => state.of_runs.entry(run.clone()).or_default(),
            Interest::Selection(selection) => match &selection.scheduled_job_id {
                Some(job) => state.of_jobs.entry(job.clone()).or_default(),
                None => &mut state.of_all,
            },
        };
        inboxes.push(Arc::clone(&inbox));
        (inbox, state.epoch)
    }

    pub(super) fn remove(&self, inbox: &Arc<Inbox>) {
        let mut state = self.state();
        match &inbox.interest {
            Interest::Run(run) => remove_of(&mut state.of_runs, run, inbox),
            Interest::Selection(selection) => match &selection.scheduled_job_id {
                Some(job) => remove_of(&mut state.of_jobs, job, inbox),
                None => remove(&mut state.of_all, inbox),
            },
        }
    }

    pub(super) fn is_unwatched(&self) -> bool {
        self.state().is_unwatched()
    }

    /// Skips to `position` without reading, unless there is a watch.
    pub(super) fn skip_unwatched(&self, position: FeedPosition) -> bool {
        let mut state = self.state();
        let unwatched = state.is_unwatched();
        if unwatched {
            let position = state.position.max(position);
            state.jump_to(position);
        }
        unwatched
    }

    /// Passes on the changes up to `position`. Returns the number of inboxes that overflowed.
    pub(super) fn publish(&self, changes: &[Arc<Change>], position: FeedPosition) -> u64 {
        let mut state = self.state();
        // Advance before collecting the inboxes: one that is added later starts after these changes.
        state.position = position;
        state.recent.add(changes);
        let of_all = state.of_all.clone();
        let of_run = |change: &Arc<Change>| {
            let inboxes = state.of_runs.get(&change.run.run.spec.id)?;
            Some((Arc::clone(change), inboxes.clone()))
        };
        let of_runs: Vec<_> = changes.iter().filter_map(of_run).collect();
        let mut of_jobs: HashMap<&ScheduledJobId, (Vec<_>, Vec<_>)> = HashMap::new();
        for change in changes {
            if let Some(job) = &change.run.run.spec.scheduled_job_id
                && let Some(inboxes) = state.of_jobs.get(job)
            {
                let of_job = of_jobs.entry(job).or_insert_with(|| (Vec::new(), inboxes.clone()));
                of_job.0.push(Arc::clone(change));
            }
        }
        drop(state);
        let mut overflows = 0;
        for (change, inboxes) in of_runs {
            overflows += offer(&inboxes, std::slice::from_ref(&change), position);
        }
        // Offer all changes of a job at once: an inbox continues at `position` after each offer.
        for (changes, inboxes) in of_jobs.into_values() {
            overflows += offer(&inboxes, &changes, position);
        }
        overflows + offer(&of_all, changes, position)
    }

    /// Advances the inboxes that were offered nothing, so that the tokens of their watches do not expire. Must
    /// not run while changes are being published.
    pub(super) fn touch(&self) {
        let state = self.state();
        let position = state.position;
        let of_jobs: Vec<_> = state.of_jobs.values().flatten().cloned().collect();
        drop(state);
        offer(&of_jobs, &[], position);
    }

    /// The first retained changes after `position`, and the position up to which they are complete. `None` if
    /// some are no longer in memory or belong to another epoch.
    pub(super) fn recent_after(
        &self,
        epoch: Uuid,
        position: FeedPosition,
    ) -> Option<(Vec<Arc<Change>>, FeedPosition)> {
        let state = self.state();
        let changes = state.recent.after(position).filter(|_| state.epoch == epoch)?;
        let until = match changes.last() {
            Some(last) if state.recent.has_after(last.position) => last.position,
            Some(_) | None => state.position.max(position),
        };
        Some((changes, until))
    }

    /// Continues at `position`; watches must read earlier changes from the database.
    pub(super) fn skip_to(&self, position: FeedPosition) {
        let mut state = self.state();
        state.jump_to(position);
        for inbox in state.all() {
            inbox.skip_to(position);
        }
    }

    /// Starts a new epoch, which ends all watches.
    pub(super) fn reset(&self, epoch: Uuid, position: FeedPosition) {
        let mut state = self.state();
        state.epoch = epoch;
        state.jump_to(position);
        for inbox in state.all() {
            inbox.reset();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Continues at `position` without the changes before it.
    fn jump_to(&mut self, position: FeedPosition) {
        self.position = position;
        self.recent = ReplayBuffer::new(position);
    }

    fn is_unwatched(&self) -> bool {
        self.of_runs.is_empty() && self.of_jobs.is_empty() && self.of_all.is_empty()
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Inbox>> {
        self.of_runs.values().chain(self.of_jobs.values()).flatten().chain(&self.of_all)
    }
}

/// Returns the number of inboxes that overflowed.
fn offer(inboxes: &[Arc<Inbox>], changes: &[Arc<Change>], position: FeedPosition) -> u64 {
    inboxes.iter().map(|inbox| u64::from(!inbox.offer(changes, position))).sum()
}

fn remove_of<K: Eq + Hash>(
    inboxes_of: &mut HashMap<K, Vec<Arc<Inbox>>>,
    key: &K,
    inbox: &Arc<Inbox>,
) {
    if let Some(inboxes) = inboxes_of.get_mut(key) {
        remove(inboxes, inbox);
        if inboxes.is_empty() {
            inboxes_of.remove(key);
        }
    }
}

fn remove(inboxes: &mut Vec<Arc<Inbox>>, inbox: &Arc<Inbox>) {
    if let Some(place) = inboxes.iter().position(|one| Arc::ptr_eq(one, inbox)) {
        inboxes.swap_remove(place);
    }
}
