//! Watching runs: what is current first, then every later change of status in order.
//!
//! Events in the database are the truth. The [`Hub`] reads what was committed once for all watches of a
//! server and hands it to those concerned; a watch that is behind what is kept for it takes the rest from
//! what is kept for all, or reads from the database itself, from where it is. Notifications between servers
//! only make the hub look sooner.
//!
//! ```text
//! current or missed ──▶ SYNCED ──▶ changes … ──▶ final state (one run) | bookmark, UNAVAILABLE (stop)
//!                                   ▲     │ its inbox was full
//!                                   └─────┘ takes what is kept for all, or reads from the database
//! ```
//!
//! A token is a place in the feed of one epoch: good on every server and after restarts, as long as
//! the database is the same and what comes after the place is kept.

mod hub;
mod inbox;
mod limiter;
mod monitor;
mod one;
mod poll_backoff;
mod registry;
mod replay_buffer;
mod selection;
mod subscription;
mod token;

use std::sync::Arc;
use std::time::Duration;

pub use self::hub::Hub;
pub use self::limiter::{TooManyWatches, WatchLimiter, WatchLimits, WatchPermit};
pub use self::one::{Start, watch_run};
pub use self::selection::watch_selection;
pub use self::token::InvalidToken;

use crate::domain::id::RunId;
use crate::domain::run::Run;
use crate::store::StoreError;

/// What a watch tells next.
#[derive(Clone, Debug)]
pub enum Update {
    /// A run as it is at the beginning.
    Current(Arc<Run>),
    /// All that was current or missed at the beginning has been told.
    Synced(String),
    /// A run has changed and matches.
    Changed(Arc<Run>, String),
    /// A run has changed and does not match any more.
    Left(Arc<Run>, String),
    /// Only the token is news.
    Bookmark {
        /// Where to go on.
        token: String,
        /// How long the oldest change that cannot be shown yet has waited.
        lag: Option<Duration>,
    },
}

/// Why a watch cannot begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// There is no such run.
    #[error("Run not found: {0}")]
    NotFound(RunId),
    /// The cursor is ahead of the run, as after a restore of the database.
    #[error("the run is at revision {current}, before the cursor")]
    CursorAhead { current: i64 },
    /// Not a token of this watch.
    #[error(transparent)]
    InvalidToken(#[from] InvalidToken),
    /// What comes after the cursor is not kept any more.
    #[error("changes after the cursor are no longer kept; watch from the beginning")]
    Expired,
    /// The database is not the one that the watch or its token began with.
    #[error("the database was restored or failed over; watch from the beginning")]
    FeedReset,
    #[error("the server is stopping")]
    Stopping,
    #[error("the database failed")]
    Store(#[from] StoreError),
}
