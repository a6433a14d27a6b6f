//! Watches: the current state first, then every later change of status in order.
//!
//! Events in the database are the truth. The [`Hub`] reads committed events once for all watches of a server
//! and passes them on to the inboxes of the watches concerned. A watch whose inbox overflowed catches up from
//! the replay buffer that all watches share, or reads from the database itself, from its own position.
//! Memory is bounded: changes are kept in the replay buffer only, and a watch that does not read holds the messages of
//! its last read, which are few bytes or a single run.
//! Notifications between servers only make the hub poll sooner.
//!
//! ```text
//! current or missed ──▶ SYNCED ──▶ changes … ──▶ final state (one run) | bookmark, UNAVAILABLE (stop)
//!                                   ▲     │ inbox overflowed
//!                                   └─────┘ catches up from the replay buffer or the database
//! ```
//!
//! A resume token is a position in the feed of one epoch. It is valid on every server and after restarts, as
//! long as the database is the same and the events after the position are retained.

mod change;
mod hub;
mod inbox;
mod limiter;
mod monitor;
mod notifications;
mod one;
mod poll_backoff;
mod registry;
mod replay_buffer;
mod selection;
mod subscription;
mod token;

use std::sync::Arc;
use std::time::Duration;

pub use self::change::{Detail, WatchedRun};
pub use self::hub::Hub;
pub use self::limiter::{TooManyWatches, WatchLimiter, WatchLimits, WatchPermit};
pub use self::one::{Start, watch_run};
pub use self::selection::watch_selection;
pub use self::token::InvalidToken;

use crate::domain::id::RunId;
use crate::store::StoreError;

/// A message of a watch.
#[derive(Clone, Debug)]
pub enum Update {
    /// A run as it was when the watch started.
    Current(Arc<WatchedRun>),
    /// Everything that was current or missed at the start has been sent.
    Synced(String),
    /// A matching run has changed.
    Changed(Arc<WatchedRun>, String),
    /// A run has changed and no longer matches.
    Left(Arc<WatchedRun>, String),
    /// Nothing but a newer token.
    Bookmark {
        token: String,
        /// Age of the oldest change that is still held back.
        lag: Option<Duration>,
    },
}

/// A watch cannot start or continue.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    #[error("Run not found: {0}")]
    NotFound(RunId),
    /// The requested revision does not exist yet, for example after a restore of the database.
    #[error("after_revision is beyond the run's current revision {current}")]
    CursorAhead { current: i64 },
    #[error(transparent)]
    InvalidToken(#[from] InvalidToken),
    /// Events after the cursor are no longer retained.
    #[error("the requested position is older than the retained events; restart the watch")]
    Expired,
    /// The database is not the one that the watch or its token started with.
    #[error("the database was restored or failed over; restart the watch")]
    FeedReset,
    #[error("the server is shutting down")]
    Stopping,
    #[error("the database failed")]
    Store(#[from] StoreError),
}
