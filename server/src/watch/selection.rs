//! The watch of all runs that a selection matches. It goes by places in the feed.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::Stream;
use futures::stream::try_unfold;
use tokio_util::sync::CancellationToken;

use super::inbox::{Interest, Taken};
use super::subscription::{Awake, Subscription};
use super::token::Subject;
use super::{Hub, Update, WatchError};
use crate::domain::id::RunId;
use crate::domain::matching::{RunSelection, Visibility};
use crate::domain::run::Status;
use crate::store::feed::{self, Change, Feed, FeedPosition};
use crate::store::runs::{self, RunFilter};

/// Runs or changes of one read: they are in memory at once, and may be large.
const PAGE: i64 = 128;
/// Changes that are taken from memory at once: each watch makes its messages of them.
const RECENT: usize = 128;

struct Watch {
    subscription: Subscription,
    selection: RunSelection,
    /// Everything up to here was told, or is about to be.
    position: FeedPosition,
    unsent: VecDeque<Update>,
    phase: Phase,
    /// Nothing was told for long.
    is_idle: bool,
    /// What was told as current and may come once more as a change.
    current: Current,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    /// Tells what is current; the next run is older than this one.
    Current(Option<(DateTime<Utc>, RunId)>),
    /// Tells what was missed.
    Missed,
    /// Tells what is new.
    Live,
    Stopping,
}

/// The runs are read page by page, while the feed goes on from where it stood at the first one. So a run
/// may be told as it was after changes that the feed is yet to show; they are passed over until it has
/// got to where it stood at the last page.
#[derive(Debug, Default)]
struct Current {
    revisions: HashMap<RunId, i64>,
    until: FeedPosition,
}

/// Watches the runs that `selection` matches, without end. `description` is the selection as the client
/// gave it: a token is good for the same one only.
pub async fn watch_selection(
    hub: Arc<Hub>,
    selection: RunSelection,
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
    let mut look = subscription.look().await?;
    let (position, phase) = if let Some(token) = token {
        (resumed(&subscription, token, &look.feed)?, Phase::Missed)
    } else {
        let known = known.max(look.feed.expired);
        let last = feed::feed_last(&mut look.conn, &look.feed, known).await?;
        (last, Phase::Current(None))
    };
    drop(look);
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
    let (xid, id) = subscription.place_of(token, feed)?;
    let position = FeedPosition { xid, id };
    if position >= feed.end {
        // The database was set back without a trace.
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
                self.subscription.told();
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
        let filter = RunFilter { after, ..self.active() };
        let mut look = self.subscription.look().await?;
        let page = runs::runs_list(&mut look.conn, &filter, PAGE).await?;
        self.current.until = look.feed.end;
        drop(look);
        let is_full = i64::try_from(page.len()).is_ok_and(|count| count == PAGE);
        let last =
            page.last().filter(|_| is_full).map(|run| (run.spec.created_at, run.spec.id.clone()));
        for run in page {
            self.current.revisions.insert(run.spec.id.clone(), run.state.revision);
            self.unsent.push_back(Update::Current(Arc::new(run)));
        }
        if last.is_some() {
            self.phase = Phase::Current(last);
        } else {
            self.synced();
        }
        Ok(())
    }

    /// Those that can still change.
    fn active(&self) -> RunFilter {
        let RunSelection { scheduled_job_id, mut conditions } = self.selection.clone();
        let accepted = conditions.status.unwrap_or(vec![Status::Pending, Status::Running]);
        conditions.status = Some(accepted.into_iter().filter(|one| !one.is_final()).collect());
        RunFilter { scheduled_job_id, conditions, ..RunFilter::default() }
    }

    fn synced(&mut self) {
        self.phase = Phase::Live;
        self.unsent.push_back(Update::Synced(self.token(self.position)));
    }

    /// Takes what is new from its inbox; what is missing before that from memory, else from the database; or
    /// waits.
    async fn follow(&mut self) -> Result<(), WatchError> {
        match self.subscription.inbox.take_after(self.position) {
            Taken::Reset => Err(WatchError::FeedReset),
            Taken::Lagged => {
                match self.subscription.recent_after(self.position, RECENT) {
                    Some((changes, until)) => self.tell(&changes, until),
                    None => self.read_missed().await?,
                }
                // Much may be passed over before there is something to tell.
                if self.unsent.is_empty() && self.subscription.is_silent() {
                    self.unsent.push_back(self.bookmark());
                }
                Ok(())
            }
            Taken::Changes(changes, until) => {
                self.tell(&changes, until);
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

    /// Waits; a bookmark comes after one more look, for the feed may have gone on meanwhile.
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
        let mut look = self.subscription.look().await?;
        if self.position < look.feed.expired {
            return Err(WatchError::Expired);
        }
        let feed = look.feed;
        let changes = feed::feed_after(&mut look.conn, &feed, self.position, PAGE).await?;
        drop(look);
        let is_full = i64::try_from(changes.len()).is_ok_and(|count| count == PAGE);
        let until = match changes.last() {
            Some(last) if is_full => last.position,
            Some(last) => last.position.max(known),
            None => self.position.max(known),
        };
        let changes: Vec<_> = changes.into_iter().map(Arc::new).collect();
        self.tell(&changes, until);
        Ok(())
    }

    /// Tells changes, save progress of a run that goes on among them.
    fn tell(&mut self, changes: &[Arc<Change>], until: FeedPosition) {
        let mut later: HashSet<&RunId> = HashSet::new();
        let mut told = VecDeque::new();
        for change in changes.iter().rev() {
            let is_last = later.insert(&change.run.spec.id);
            let passed = change.is_progress() && !is_last;
            if !passed && !self.current.has(change) {
                told.extend(self.update(change));
            }
        }
        self.unsent.extend(told.into_iter().rev());
        self.position = until;
        if self.position >= self.current.until {
            self.current = Current::default();
        }
    }

    fn update(&self, change: &Change) -> Option<Update> {
        let run = Arc::clone(&change.run);
        let token = || self.token(change.position);
        match self.selection.visibility(&run, change.before) {
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
    /// Whether the change is in what was told as current.
    fn has(&self, change: &Change) -> bool {
        let told: Option<&i64> = self.revisions.get(&change.run.spec.id);
        told.is_some_and(|revision| change.run.state.revision <= *revision)
    }
}
