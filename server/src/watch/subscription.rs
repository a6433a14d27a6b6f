//! A watch's connection to the hub, which both kinds of watches share.

use std::sync::Arc;
use std::time::Duration;

use sqlx::types::Uuid;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::change::Change;
use super::hub::{Hub, Snapshot};
use super::inbox::{Inbox, Interest};
use super::token::{Subject, Token};
use super::{Update, WatchError};
use crate::store::StoreError;
use crate::store::feed::{Feed, FeedPosition};

/// A watch that has sent nothing for this long sends a bookmark.
const IDLE: Duration = Duration::from_secs(10);

/// A longer lag is not caused by our own transactions, which are shorter.
const HELD_BACK: Duration = Duration::from_secs(1);

/// An inbox at the hub, and the time of the last message sent. Dropping it removes the inbox.
pub(super) struct Subscription {
    hub: Arc<Hub>,
    pub(super) inbox: Arc<Inbox>,
    epoch: Uuid,
    subject: Subject,
    closing: CancellationToken,
    sent_at: Instant,
}

/// Reason for a wake-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awake {
    News,
    Idle,
}

impl Subscription {
    /// Must be called before reading, or a change between the two would be lost.
    pub(super) fn begin(
        hub: Arc<Hub>,
        interest: Interest,
        subject: Subject,
        closing: CancellationToken,
    ) -> Self {
        let (inbox, epoch) = hub.add(interest);
        Self { hub, inbox, epoch, subject, closing, sent_at: Instant::now() }
    }

    /// A view of the database, in the epoch that the watch started with.
    pub(super) async fn snapshot(&self) -> Result<Snapshot<'_>, WatchError> {
        let snapshot = self.hub.snapshot().await?;
        if snapshot.feed.epoch != self.epoch {
            return Err(WatchError::FeedReset);
        }
        Ok(snapshot)
    }

    /// The first changes in the replay buffer after `position`, and the position up to which they are complete.
    /// `None` if some are in the database only.
    pub(super) fn recent_after(
        &self,
        position: FeedPosition,
    ) -> Option<(Vec<Arc<Change>>, FeedPosition)> {
        self.hub.registry.recent_after(self.epoch, position)
    }

    /// The hub has read everything up to this position.
    pub(super) fn hub_position(&self) -> FeedPosition {
        self.hub.registry.position()
    }

    /// The position that a token holds.
    pub(super) fn position_of(&self, token: &str, feed: &Feed) -> Result<(i64, i64), WatchError> {
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

    /// Whether a long transaction holds changes back.
    pub(super) fn is_held_back(&self) -> bool {
        self.hub.lag().is_some_and(|lag| lag > HELD_BACK)
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.is_cancelled()
    }

    /// Records that a message is being sent now.
    pub(super) fn mark_sent(&mut self) {
        self.sent_at = Instant::now();
    }

    /// Whether the client may take the watch for dead, because nothing was sent for [`IDLE`].
    pub(super) fn is_silent(&self) -> bool {
        self.sent_at.elapsed() >= IDLE
    }

    /// Waits for changes. A watch that is idle because the hub cannot read ends with an error, so that its client
    /// tries another server.
    pub(super) async fn wait(&self) -> Result<Awake, WatchError> {
        tokio::select! {
            () = self.closing.cancelled() => Ok(Awake::News),
            () = self.inbox.news() => Ok(Awake::News),
            () = tokio::time::sleep_until(self.sent_at + IDLE) => {
                if self.hub.is_stale() {
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
