//! Watching runs.

use std::sync::Arc;

use futures::{Stream, StreamExt};
use tokio_util::sync::CancellationToken;

use super::{App, AppError};
use crate::domain::id::RunId;
use crate::domain::matching::RunSelection;
use crate::watch::{Start, Update, WatchError, watch_run, watch_selection};

/// Who watches, and until when.
#[derive(Clone, Debug)]
pub struct Watcher {
    /// The client, as far as it is known; its watches are counted.
    pub client: String,
    /// The watch ends then, with a bookmark and [`AppError::Stopping`].
    pub closing: CancellationToken,
}

impl App {
    /// Watches a run: what `start` says first, then every later change of status. Ends after the final
    /// state.
    pub async fn watch_run(
        &self,
        watcher: Watcher,
        run: RunId,
        start: Start,
    ) -> Result<impl Stream<Item = Result<Update, AppError>> + Send + use<>, AppError> {
        let permit = self.limiter.take(&watcher.client)?;
        let updates = watch_run(Arc::clone(&self.hub), run, start, watcher.closing).await?;
        Ok(updates.map(move |update| {
            let _taken = &permit;
            update.map_err(AppError::from)
        }))
    }

    /// Watches the runs that a selection matches, without end; with a token from there on.
    /// `description` is the selection as the client gave it.
    pub async fn watch_runs(
        &self,
        watcher: Watcher,
        selection: RunSelection,
        description: &str,
        token: Option<&str>,
    ) -> Result<impl Stream<Item = Result<Update, AppError>> + Send + use<>, AppError> {
        let permit = self.limiter.take(&watcher.client)?;
        let hub = Arc::clone(&self.hub);
        let updates = watch_selection(hub, selection, description, token, watcher.closing).await?;
        Ok(updates.map(move |update| {
            let _taken = &permit;
            update.map_err(AppError::from)
        }))
    }

    /// How many watches are open on this server.
    pub fn watches(&self) -> u32 {
        self.limiter.count()
    }
}

impl From<WatchError> for AppError {
    fn from(error: WatchError) -> Self {
        match error {
            WatchError::NotFound(run) => Self::RunNotFound(run),
            WatchError::CursorAhead { current } => Self::CursorAhead { current },
            WatchError::InvalidToken(error) => Self::invalid("resume_token", error.to_string()),
            WatchError::Expired => Self::TokenExpired,
            WatchError::FeedReset => Self::FeedReset,
            WatchError::Stopping => Self::Stopping,
            WatchError::Store(error) => Self::Store(error),
        }
    }
}
