//! A watch of one run. It advances by revisions, so it has no gap however it is woken.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::Stream;
use futures::stream::try_unfold;
use tokio_util::sync::CancellationToken;

use super::change::WatchedRun;
use super::inbox::{Interest, Received};
use super::subscription::{Awake, Subscription};
use super::token::Subject;
use super::{Hub, Update, WatchError};
use crate::domain::id::RunId;
use crate::domain::run::{Run, RunSpec, RunState, Status};
use crate::store::{Budget, events, runs};

/// Most states of one read, and their bytes: a watch holds them until its client reads them. A single larger one is
/// read alone.
const PAGE: i64 = 64;
const PAGE_BYTES: usize = 64 * 1024;

/// Start of a watch of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// The current state.
    Now,
    /// The first change after a revision.
    After(i64),
    /// The first change after a token.
    Token(String),
}

struct Watch {
    subscription: Subscription,
    spec: Arc<RunSpec>,
    /// The run's revision when the watch started.
    first: i64,
    /// The last revision that was sent or is in `unsent`.
    seen: i64,
    /// The status at revision `seen`, if it is known.
    status: Option<Status>,
    unsent: VecDeque<Update>,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Sends the states before the watch started.
    Beginning,
    /// Sends new changes from the inbox.
    Live,
    /// Sends changes from the database that are not in the inbox.
    CatchingUp,
    /// The final state was sent.
    Ended,
    Stopping,
}

/// Watches a run until it ends. States that differ in progress only may be left out if a later one is known.
pub async fn watch_run(
    hub: Arc<Hub>,
    id: RunId,
    start: Start,
    closing: CancellationToken,
) -> Result<impl Stream<Item = Result<Update, WatchError>> + Send + use<>, WatchError> {
    let subject = Subject::of(&format!("run {id}"));
    let subscription = Subscription::begin(hub, Interest::Run(id.clone()), subject, closing);
    let mut snapshot = subscription.snapshot().await?;
    // Check the token before reading the run: after a restore the run may be missing, and the token tells why.
    let after = match &start {
        Start::Now => None,
        Start::After(revision) => Some(*revision),
        Start::Token(token) => Some(subscription.position_of(token, &snapshot.feed)?.0),
    };
    let run = runs::run_get(&mut snapshot.conn, &id).await?.ok_or(WatchError::NotFound(id))?;
    drop(snapshot);
    if after.is_some_and(|seen| seen > run.state.revision) {
        return Err(match start {
            // The database was reset without a change of its identity.
            Start::Token(_) => WatchError::FeedReset,
            Start::Now | Start::After(_) => WatchError::CursorAhead { current: run.state.revision },
        });
    }
    let run = WatchedRun::new(run);
    let current = || VecDeque::from([Update::Current(Arc::clone(&run))]);
    let unsent = if after.is_none() { current() } else { VecDeque::new() };
    let Run { spec, state } = &run.run;
    let (spec, first) = (Arc::clone(spec), state.revision);
    let seen = after.unwrap_or(first);
    let status = (seen == first).then_some(state.status);
    let watch = Watch { subscription, spec, first, seen, status, unsent, phase: Phase::Beginning };
    Ok(try_unfold(watch, |mut watch| async move {
        Ok(watch.next().await?.map(|update| (update, watch)))
    }))
}

impl Watch {
    async fn next(&mut self) -> Result<Option<Update>, WatchError> {
        loop {
            if let Some(update) = self.unsent.pop_front() {
                self.subscription.mark_sent();
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

    /// Reads from the database until nothing is left, and then becomes live.
    async fn begin(&mut self) -> Result<(), WatchError> {
        if !self.read().await? {
            self.phase = if self.has_ended() { Phase::Ended } else { Phase::Live };
            self.unsent.push_back(Update::Synced(self.subscription.token((self.seen, 0))));
        }
        Ok(())
    }

    /// Reads from the database until nothing is left.
    async fn catch_up(&mut self) -> Result<(), WatchError> {
        if !self.read().await? {
            self.phase = Phase::Live;
        }
        self.end_if_final();
        Ok(())
    }

    /// Sends new changes from the inbox, or waits for some.
    async fn follow(&mut self) -> Result<(), WatchError> {
        match self.subscription.inbox.receive() {
            Received::Reset => return Err(WatchError::FeedReset),
            Received::Lagged => self.phase = Phase::CatchingUp,
            Received::Changes(changes, _) if changes.is_empty() => self.wait().await?,
            Received::Changes(changes, _) => {
                let news =
                    changes.iter().filter(|change| change.run.run.state.revision > self.seen);
                let states: Vec<_> = news.map(|change| Arc::clone(&change.run)).collect();
                if is_without_gap(&states, self.seen) {
                    self.queue(&states);
                } else {
                    self.phase = Phase::CatchingUp;
                }
            }
        }
        self.end_if_final();
        Ok(())
    }

    fn end_if_final(&mut self) {
        if self.has_ended() {
            self.phase = Phase::Ended;
        }
    }

    async fn wait(&mut self) -> Result<(), WatchError> {
        if self.subscription.wait().await? == Awake::News {
            return Ok(());
        }
        // The run's own events may show changes that the feed must still hold back.
        if self.subscription.is_held_back() && self.read().await? {
            self.phase = Phase::CatchingUp;
        }
        if self.unsent.is_empty() {
            self.unsent.push_back(self.bookmark());
        }
        Ok(())
    }

    /// Reads a page from the database. Returns whether it had any states.
    async fn read(&mut self) -> Result<bool, WatchError> {
        let mut snapshot = self.subscription.snapshot().await?;
        // Include the state at the cursor while its status is unknown.
        let after = self.seen - i64::from(self.status.is_none());
        let (conn, budget) = (&mut snapshot.conn, &mut Budget::new(PAGE_BYTES));
        let mut states = events::events_after(conn, &self.spec, after, PAGE, budget).await?;
        drop(snapshot);
        if states.first().is_some_and(|state| state.state.revision == self.seen) {
            self.status = Some(states.remove(0).state.status);
        }
        let is_missing = states.is_empty() && self.seen < self.first;
        let states: Vec<_> = states.into_iter().map(WatchedRun::new).collect();
        if is_missing || !is_without_gap(&states, self.seen) {
            return Err(WatchError::Expired);
        }
        self.queue(&states);
        Ok(!states.is_empty())
    }

    fn queue(&mut self, states: &[Arc<WatchedRun>]) {
        for (index, run) in states.iter().enumerate() {
            let RunState { status, revision, .. } = run.run.state;
            let is_progress = self.status == Some(status);
            (self.seen, self.status) = (revision, Some(status));
            if !is_progress || index + 1 == states.len() {
                let token = self.subscription.token((revision, 0));
                self.unsent.push_back(Update::Changed(Arc::clone(run), token));
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

/// Whether the revisions follow `seen` without a gap.
fn is_without_gap(states: &[Arc<WatchedRun>], seen: i64) -> bool {
    states.iter().zip(seen + 1..).all(|(run, expected)| run.run.state.revision == expected)
}
