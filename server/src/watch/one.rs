//! The watch of one run. It goes by revisions, so it has no gap whatever wakes it.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::Stream;
use futures::stream::try_unfold;
use tokio_util::sync::CancellationToken;

use super::inbox::{Interest, Taken};
use super::subscription::{Awake, Subscription};
use super::token::Subject;
use super::{Hub, Update, WatchError};
use crate::domain::id::RunId;
use crate::domain::run::{Run, Status};
use crate::store::{events, runs};

/// States of one read: they are in memory at once, and may be large.
const PAGE: i64 = 64;

/// Where the watch of a run begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the current state.
    Now,
    /// With the first change after a revision.
    After(i64),
    /// With the first change after a token.
    Token(String),
}

struct Watch {
    subscription: Subscription,
    run: Arc<Run>,
    /// The last revision that was told, or is about to be.
    seen: i64,
    /// The status at that revision, if it is known.
    status: Option<Status>,
    unsent: VecDeque<Update>,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Tells what there was at the beginning.
    Beginning,
    /// Tells what is new.
    Live,
    /// Tells what was too much for memory, or not in it.
    CatchingUp,
    /// The final state was told.
    Ended,
    Stopping,
}

/// Watches a run, to its end. States that only differ in progress may be left out when a later one is
/// known.
pub async fn watch_run(
    hub: Arc<Hub>,
    id: RunId,
    start: Start,
    closing: CancellationToken,
) -> Result<impl Stream<Item = Result<Update, WatchError>> + Send + use<>, WatchError> {
    let subject = Subject::of(&format!("run {id}"));
    let subscription = Subscription::begin(hub, Interest::Run(id.clone()), subject, closing);
    let mut look = subscription.look().await?;
    // Before the run: a restored database may not have it, and the token says why.
    let after = match &start {
        Start::Now => None,
        Start::After(revision) => Some(*revision),
        Start::Token(token) => Some(subscription.place_of(token, &look.feed)?.0),
    };
    let run = runs::run_get(&mut look.conn, &id).await?.ok_or(WatchError::NotFound(id))?;
    drop(look);
    if after.is_some_and(|seen| seen > run.state.revision) {
        return Err(match start {
            // The database was set back without a trace.
            Start::Token(_) => WatchError::FeedReset,
            Start::Now | Start::After(_) => WatchError::CursorAhead { current: run.state.revision },
        });
    }
    let run = Arc::new(run);
    let current = || VecDeque::from([Update::Current(Arc::clone(&run))]);
    let unsent = if after.is_none() { current() } else { VecDeque::new() };
    let seen = after.unwrap_or(run.state.revision);
    let status = (seen == run.state.revision).then_some(run.state.status);
    let watch = Watch { subscription, run, seen, status, unsent, phase: Phase::Beginning };
    Ok(try_unfold(watch, |mut watch| async move {
        Ok(watch.next().await?.map(|update| (update, watch)))
    }))
}

impl Watch {
    async fn next(&mut self) -> Result<Option<Update>, WatchError> {
        loop {
            if let Some(update) = self.unsent.pop_front() {
                self.subscription.told();
                return Ok(Some(update));
            }
            match self.phase {
                Phase::Ended => return Ok(None),
                Phase::Stopping => return Err(WatchError::Stopping),
                Phase::Beginning | Phase::Live | Phase::CatchingUp
                    if self.subscription.is_closing() =>
                {
                    self.stop();
                }
                Phase::Beginning => self.begin().await?,
                Phase::Live => self.follow().await?,
                Phase::CatchingUp => self.catch_up().await?,
            }
        }
    }

    fn stop(&mut self) {
        self.phase = Phase::Stopping;
        self.unsent.push_back(self.bookmark());
    }

    /// Reads from the database until there is nothing more, which is the beginning's end.
    async fn begin(&mut self) -> Result<(), WatchError> {
        if !self.read().await? {
            self.phase = if self.has_ended() { Phase::Ended } else { Phase::Live };
            self.unsent.push_back(Update::Synced(self.subscription.token((self.seen, 0))));
        }
        Ok(())
    }

    /// Reads from the database until there is nothing more.
    async fn catch_up(&mut self) -> Result<(), WatchError> {
        if !self.read().await? {
            self.phase = Phase::Live;
        }
        self.end();
        Ok(())
    }

    /// Takes what is new from memory, or waits.
    async fn follow(&mut self) -> Result<(), WatchError> {
        match self.subscription.inbox.take() {
            Taken::Reset => return Err(WatchError::FeedReset),
            Taken::Lagged => self.phase = Phase::CatchingUp,
            Taken::Changes(changes, _) if changes.is_empty() => self.wait().await?,
            Taken::Changes(changes, _) => {
                let news = changes.iter().filter(|change| change.run.state.revision > self.seen);
                let states: Vec<_> = news.map(|change| Arc::clone(&change.run)).collect();
                if is_without_gap(&states, self.seen) {
                    self.tell(&states);
                } else {
                    self.phase = Phase::CatchingUp;
                }
            }
        }
        self.end();
        Ok(())
    }

    /// Notices the final state.
    fn end(&mut self) {
        if self.has_ended() {
            self.phase = Phase::Ended;
        }
    }

    async fn wait(&mut self) -> Result<(), WatchError> {
        if self.subscription.wait().await? == Awake::News {
            return Ok(());
        }
        // What the feed must not show yet, the run's own events do.
        if self.subscription.is_held_back() && self.read().await? {
            self.phase = Phase::CatchingUp;
        }
        if self.unsent.is_empty() {
            self.unsent.push_back(self.bookmark());
        }
        Ok(())
    }

    /// Reads a page from the database; whether there was something.
    async fn read(&mut self) -> Result<bool, WatchError> {
        let mut look = self.subscription.look().await?;
        // With the state at the cursor, as long as its status is not known.
        let after = self.seen - i64::from(self.status.is_none());
        let mut states = events::events_after(&mut look.conn, &self.run.spec, after, PAGE).await?;
        drop(look);
        if states.first().is_some_and(|state| state.state.revision == self.seen) {
            self.status = Some(states.remove(0).state.status);
        }
        let is_missing = states.is_empty() && self.seen < self.run.state.revision;
        let states: Vec<_> = states.into_iter().map(Arc::new).collect();
        if is_missing || !is_without_gap(&states, self.seen) {
            return Err(WatchError::Expired);
        }
        self.tell(&states);
        Ok(!states.is_empty())
    }

    fn tell(&mut self, states: &[Arc<Run>]) {
        for (index, state) in states.iter().enumerate() {
            let is_progress = self.status == Some(state.state.status);
            (self.seen, self.status) = (state.state.revision, Some(state.state.status));
            if !is_progress || index + 1 == states.len() {
                let token = self.subscription.token((state.state.revision, 0));
                self.unsent.push_back(Update::Changed(Arc::clone(state), token));
            }
        }
    }

    fn has_ended(&self) -> bool {
        self.status.is_some_and(Status::is_final)
    }

    fn bookmark(&self) -> Update {
        self.subscription.bookmark((self.seen, 0))
    }
}

/// Whether the revisions are those that come after `seen`.
fn is_without_gap(states: &[Arc<Run>], seen: i64) -> bool {
    states.iter().zip(seen + 1..).all(|(state, expected)| state.state.revision == expected)
}
