//! A watch's part in the hub, which both kinds of watches stand on.

use std::sync::Arc;
use std::time::Duration;

use sqlx::types::Uuid;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::hub::{Hub, Snapshot};
use super::inbox::{Inbox, Interest};
use super::token::{Subject, Token};
use super::{Update, WatchError};
use crate::store::StoreError;
use crate::store::feed::{Change, Feed, FeedPosition};

/// A watch that has told nothing for so long tells where it is.
const IDLE: Duration = Duration::from_secs(10);

/// Transactions of our own are shorter.
const HELD_BACK: Duration = Duration::from_secs(1);

/// What a watch gets from the hub, and when it told something last. Ended when dropped.
pub(super) struct Subscription {
    hub: Arc<Hub>,
    pub(super) inbox: Arc<Inbox>,
    epoch: Uuid,
    subject: Subject,
    closing: CancellationToken,
    told_at: Instant,
}

/// Why a watch is awake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awake {
    News,
    Idle,
}

impl Subscription {
    /// To be begun before reading, or a change between the two would be lost.
    pub(super) fn begin(
        hub: Arc<Hub>,
        interest: Interest,
        subject: Subject,
        closing: CancellationToken,
    ) -> Self {
        let (inbox, epoch) = hub.registry.add(interest);
        Self { hub, inbox, epoch, subject, closing, told_at: Instant::now() }
    }

    /// One state of the database, of the epoch that the watch began with.
    pub(super) async fn look(&self) -> Result<Snapshot<'_>, WatchError> {
        let look = self.hub.look().await?;
        if look.feed.epoch != self.epoch {
            return Err(WatchError::FeedReset);
        }
        Ok(look)
    }

    /// The first of the last changes after `position`, and up to where these are all; `None` if some are
    /// in the database only.
    pub(super) fn recent_after(
        &self,
        position: FeedPosition,
        limit: usize,
    ) -> Option<(Vec<Arc<Change>>, FeedPosition)> {
        self.hub.registry.recent_after(self.epoch, position, limit)
    }

    /// The hub has read everything up to here.
    pub(super) fn hub_position(&self) -> FeedPosition {
        self.hub.registry.position()
    }

    /// The place that a token holds.
    pub(super) fn place_of(&self, token: &str, feed: &Feed) -> Result<(i64, i64), WatchError> {
        let token = Token::read(token, self.subject)?;
        if token.epoch != feed.epoch {
            return Err(WatchError::FeedReset);
        }
        Ok(token.place)
    }

    pub(super) fn token(&self, place: (i64, i64)) -> String {
        Token { epoch: self.epoch, place }.write(self.subject)
    }

    pub(super) fn bookmark(&self, place: (i64, i64)) -> Update {
        Update::Bookmark { token: self.token(place), lag: self.hub.lag() }
    }

    /// Whether some transaction keeps changes from being shown for long.
    pub(super) fn is_held_back(&self) -> bool {
        self.hub.lag().is_some_and(|lag| lag > HELD_BACK)
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.is_cancelled()
    }

    /// Something is told now.
    pub(super) fn told(&mut self) {
        self.told_at = Instant::now();
    }

    /// Whether nothing was told for so long that the client may think that the watch is dead.
    pub(super) fn is_silent(&self) -> bool {
        self.told_at.elapsed() >= IDLE
    }

    /// Waits for news. A watch that is idle only because the hub cannot read ends, so that its client looks for
    /// another server.
    pub(super) async fn wait(&self) -> Result<Awake, WatchError> {
        tokio::select! {
            () = self.closing.cancelled() => Ok(Awake::News),
            () = self.inbox.news() => Ok(Awake::News),
            () = tokio::time::sleep_until(self.told_at + IDLE) => {
                if self.hub.is_blind() {
                    return Err(StoreError::TimedOut.into());
                }
                Ok(Awake::Idle)
            }
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.hub.registry.remove(&self.inbox);
    }
}
