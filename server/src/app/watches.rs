//! Watching runs: counts the open watches and ends them when the server shuts down.

use std::sync::Arc;

use futures::{Stream, StreamExt};
use tokio_util::sync::CancellationToken;

use super::{App, AppError};
use crate::domain::filter::RunFilter;
use crate::domain::id::RunId;
use crate::watch::{Start, Update, watch_run, watch_selection};

/// The client of a watch.
#[derive(Clone, Debug)]
pub struct Watcher {
    /// Identifies the client for the limit on its open watches.
    pub client: String,
    /// When cancelled, the watch ends with a bookmark and [`super::WatchError::Stopping`].
    pub closing: CancellationToken,
}

impl App {
    /// Watches a run: first the updates that `start` asks for, then every later change of its status. The
    /// stream ends after the final state.
    pub async fn watch_run(
        &self,
        watcher: Watcher,
        run: RunId,
        start: Start,
    ) -> Result<impl Stream<Item = Result<Update, AppError>> + Send + use<>, AppError> {
        let permit = self.limiter.acquire(&watcher.client)?;
        let updates = watch_run(Arc::clone(&self.hub), run, start, watcher.closing).await?;
        Ok(updates.map(move |update| {
            let _held = &permit;
            update.map_err(AppError::from)
        }))
    }

    /// Watches the runs that match a selection, endlessly. With a token, the watch resumes there.
    /// `description` is the selection as the client sent it; a token is only valid for the same one.
    pub async fn watch_runs(
        &self,
        watcher: Watcher,
        selection: RunFilter,
        description: &str,
        token: Option<&str>,
    ) -> Result<impl Stream<Item = Result<Update, AppError>> + Send + use<>, AppError> {
        let permit = self.limiter.acquire(&watcher.client)?;
        let hub = Arc::clone(&self.hub);
        let updates = watch_selection(hub, selection, description, token, watcher.closing).await?;
        Ok(updates.map(move |update| {
            let _held = &permit;
            update.map_err(AppError::from)
        }))
    }

    /// The number of open watches on this server.
    pub fn open_watches(&self) -> u32 {
        self.limiter.count()
    }
}
