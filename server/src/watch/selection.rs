//! A watch of all runs that match a selection. It advances by positions in the feed.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::Stream;
use futures::stream::try_unfold;
use tokio_util::sync::CancellationToken;

use super::change::{Change, WatchedRun};
use super::inbox::{Interest, Received};
use super::subscription::{Awake, Subscription};
use super::token::Subject;
use super::{Hub, Update, WatchError};
use crate::domain::filter::{RunFilter, Visibility};
use crate::domain::id::RunId;
use crate::domain::run::Status;
use crate::store::feed::{self, Feed, FeedPage, FeedPosition};
use crate::store::{Budget, runs};

/// Most runs or changes of one read, and their bytes: a watch holds them until its client reads them. A single larger
/// one is read alone.
const PAGE: i64 = 128;
const PAGE_BYTES: usize = 64 * 1024;

struct Watch {
    subscription: Subscription,
    selection: RunFilter,
    /// Everything up to here was sent or is in `unsent`.
    position: FeedPosition,
    unsent: VecDeque<Update>,
    phase: Phase,
    /// Nothing was sent for some time.
    is_idle: bool,
    /// Runs that were sent as current and may appear once more as a change.
    current: Current,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    /// Sends the current runs; the next one is older than this one.
    Current(Option<(DateTime<Utc>, RunId)>),
    /// Sends changes that were missed before the start.
    Missed,
    /// Sends new changes.
    Live,
    Stopping,
}

/// Current runs are read page by page, while the watch continues from the feed's position at the first page.
/// So a run may be sent in a state whose changes are still ahead in the feed. Those are skipped until the watch
/// has passed the feed's position at the last page.
#[derive(Debug, Default)]
struct Current {
    revisions: HashMap<RunId, i64>,
    until: FeedPosition,
}

/// Watches the runs that match `selection`, without end. `description` is the selection as the client sent
/// it: a token is valid for the same description only.
pub async fn watch_selection(
    hub: Arc<Hub>,
    selection: RunFilter,
    description: &str,
    token: Option<&str>,
    closing: CancellationToken,
) -> Result<impl Stream<Item = Result<Update, WatchError>> + Send + use<>, WatchError> {
    let subject = Subject::of(&format!("runs {description}"));
    let subscription = Subscription::begin(
        hub,
        Interest::Selection(Box::new(selection.clone())),
        subject,
        closing,
    );
    let known = subscription.hub_position();
    let mut snapshot = subscription.snapshot().await?;
    let (position, phase) = if let Some(token) = token {
        (resumed(&subscription, token, &snapshot.feed)?, Phase::Missed)
    } else {
        let known = known.max(snapshot.feed.expired);
        let last = feed::feed_last(&mut snapshot.conn, &snapshot.feed, known).await?;
        (last, Phase::Current(None))
    };
    drop(snapshot);
    let (unsent, current) = (VecDeque::new(), Current::default());
    let is_idle = false;
    let watch = Watch { subscription, selection, position, unsent, phase, is_idle, current };
    Ok(try_unfold(watch, |mut watch| async move { Ok(Some((watch.next().await?, watch))) }))
}

fn resumed(
    subscription: &Subscription,
    token: &str,
    feed: &Feed,
) -> Result<FeedPosition, WatchError> {
    let (xid, id) = subscription.position_of(token, feed)?;
    let position = FeedPosition { xid, id };
    if position >= feed.end {
        // The database was reset without a change of its identity.
        return Err(WatchError::FeedReset);
    }
    if position < feed.expired {
        return Err(WatchError::Expired);
    }
    Ok(position)
}

impl Watch {
    async fn next(&mut self) -> Result<Update, WatchError> {
        loop {
            if let Some(update) = self.unsent.pop_front() {
                self.subscription.mark_sent();
                return Ok(update);
            }
            match &self.phase {
                Phase::Stopping => return Err(WatchError::Stopping),
                Phase::Current(_) if self.subscription.is_closing() => {
                    return Err(WatchError::Stopping);
                }
                Phase::Missed | Phase::Live if self.subscription.is_closing() => {
                    self.unsent.push_back(self.bookmark());
                    self.phase = Phase::Stopping;
                }
                Phase::Current(after) => self.read_current(after.clone()).await?,
                Phase::Missed | Phase::Live => self.follow().await?,
            }
        }
    }

    async fn read_current(
        &mut self,
        after: Option<(DateTime<Utc>, RunId)>,
    ) -> Result<(), WatchError> {
        let filter = self.active();
        let mut snapshot = self.subscription.snapshot().await?;
        let mut budget = Budget::new(PAGE_BYTES);
        let page =
            runs::runs_list(&mut snapshot.conn, &filter, after.as_ref(), PAGE, &mut budget).await?;
        self.current.until = snapshot.feed.end;
        drop(snapshot);
        let is_full =
            budget.is_spent() || i64::try_from(page.len()).is_ok_and(|count| count == PAGE);
        let last =
            page.last().filter(|_| is_full).map(|run| (run.spec.created_at, run.spec.id.clone()));
        for run in page {
            self.current.revisions.insert(run.spec.id.clone(), run.state.revision);
            self.unsent.push_back(Update::Current(WatchedRun::new(run)));
        }
        if last.is_some() {
            self.phase = Phase::Current(last);
        } else {
            self.synced();
        }
        Ok(())
    }

    /// The part of the selection that has not ended.
    fn active(&self) -> RunFilter {
        let RunFilter { scheduled_job_id, mut conditions } = self.selection.clone();
        let accepted = conditions.status.unwrap_or(vec![Status::Pending, Status::Running]);
        conditions.status = Some(accepted.into_iter().filter(|one| !one.is_final()).collect());
        RunFilter { scheduled_job_id, conditions }
    }

    fn synced(&mut self) {
        self.phase = Phase::Live;
        self.unsent.push_back(Update::Synced(self.token(self.position)));
    }

    /// Sends new changes from the inbox. Catches up from the replay buffer or the database if the inbox
    /// overflowed, and waits if it is empty.
    async fn follow(&mut self) -> Result<(), WatchError> {
        match self.subscription.inbox.receive_after(self.position) {
            Received::Reset => Err(WatchError::FeedReset),
            Received::Lagged => {
                match self.subscription.recent_after(self.position) {
                    Some((changes, until)) => self.queue(&changes, until),
                    None => self.read_missed().await?,
                }
                // Many changes may be skipped before one matches.
                if self.unsent.is_empty() && self.subscription.is_silent() {
                    self.unsent.push_back(self.bookmark());
                }
                Ok(())
            }
            Received::Changes(changes, until) => {
                self.queue(&changes, until);
                self.is_idle &= self.unsent.is_empty();
                if self.phase == Phase::Missed {
                    self.synced();
                } else if self.unsent.is_empty() {
                    self.rest().await?;
                }
                Ok(())
            }
        }
    }

    /// Waits. A bookmark is sent only after one more poll, because the feed may have advanced meanwhile.
    async fn rest(&mut self) -> Result<(), WatchError> {
        if self.is_idle {
            self.unsent.push_back(self.bookmark());
            self.is_idle = false;
        } else {
            self.is_idle = self.subscription.wait().await? == Awake::Idle;
        }
        Ok(())
    }

    async fn read_missed(&mut self) -> Result<(), WatchError> {
        let known = self.subscription.hub_position();
        let mut snapshot = self.subscription.snapshot().await?;
        if self.position < snapshot.feed.expired {
            return Err(WatchError::Expired);
        }
        let feed = snapshot.feed;
        let conn = &mut snapshot.conn;
        let FeedPage { changes, is_full } =
            feed::feed_after(conn, &feed, self.position, PAGE, PAGE_BYTES).await?;
        drop(snapshot);
        let until = match changes.last() {
            Some(last) if is_full => last.position,
            Some(last) => last.position.max(known),
            None => self.position.max(known),
        };
        let changes: Vec<_> =
            changes.into_iter().map(|change| Arc::new(Change::from(change))).collect();
        self.queue(&changes, until);
        Ok(())
    }

    /// Queues changes, except progress of a run that has a later change among them.
    fn queue(&mut self, changes: &[Arc<Change>], until: FeedPosition) {
        let mut later: HashSet<&RunId> = HashSet::new();
        let mut updates = VecDeque::new();
        for change in changes.iter().rev() {
            let is_last = later.insert(&change.run.run.spec.id);
            if self.current.has(change) {
                continue;
            }
            let update = self.update(change);
            // The last message of a run that stops matching is never merged.
            let has_left = matches!(update, Some(Update::Left(..)));
            if is_last || has_left || !change.is_progress() {
                updates.extend(update);
            }
        }
        self.unsent.extend(updates.into_iter().rev());
        self.position = until;
        if self.position >= self.current.until {
            self.current = Current::default();
        }
    }

    fn update(&self, change: &Change) -> Option<Update> {
        let run = Arc::clone(&change.run);
        let token = || self.token(change.position);
        match self.selection.visibility(&run.run, change.before, change.after) {
            Visibility::Visible => Some(Update::Changed(run, token())),
            Visibility::Left => Some(Update::Left(run, token())),
            Visibility::Hidden => None,
        }
    }

    fn bookmark(&self) -> Update {
        let FeedPosition { xid, id } = self.position;
        self.subscription.bookmark((xid, id))
    }

    fn token(&self, position: FeedPosition) -> String {
        self.subscription.token((position.xid, position.id))
    }
}

impl Current {
    /// Whether the change is part of a run that was sent as current.
    fn has(&self, change: &Change) -> bool {
        let run = &change.run.run;
        let sent: Option<&i64> = self.revisions.get(&run.spec.id);
        sent.is_some_and(|revision| run.state.revision <= *revision)
    }
}
