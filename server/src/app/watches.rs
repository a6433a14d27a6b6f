//! Watching a run.

use std::sync::Arc;

use futures::{Stream, TryStreamExt};

use super::{App, AppError};
use crate::domain::id::RunId;
use crate::domain::run::Run;
use crate::watch::{WatchError, watch};

impl App {
    /// Watches a run: its current state first, then every later change, or with `after` every change
    /// of status after that revision. Ends after the final state.
    pub async fn watch(
        &self,
        run: RunId,
        after: Option<i64>,
    ) -> Result<impl Stream<Item = Result<Run, AppError>> + Send + 'static, AppError> {
        let states = watch(Arc::clone(&self.hub), run, after).await?;
        Ok(states.map_err(AppError::from))
    }
}

impl From<WatchError> for AppError {
    fn from(error: WatchError) -> Self {
        match error {
            WatchError::NotFound(run) => Self::RunNotFound(run),
            WatchError::CursorAhead { current } => Self::CursorAhead { current },
            WatchError::Store(error) => Self::Store(error),
        }
    }
}
