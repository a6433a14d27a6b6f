//! One watch of one run.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use futures::stream::try_unfold;
use tokio::sync::watch;

use super::Hub;
use crate::domain::id::RunId;
use crate::domain::run::Run;
use crate::store::{StoreError, events, runs};

/// How often a watch looks without being woken: the last resort, should the hub be held back by a
/// transaction that stays open.
const POLL: Duration = Duration::from_secs(5);

/// Why a watch cannot begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// There is no such run.
    #[error("Run not found: {0}")]
    NotFound(RunId),
    /// The cursor is ahead of the run, as after a restore of the database.
    #[error("the run is at revision {current}, before the cursor")]
    CursorAhead {
        /// The run's revision.
        current: i64,
    },
    /// The database failed.
    #[error("the database failed")]
    Store(#[from] StoreError),
}

struct Watch {
    hub: Arc<Hub>,
    hints: watch::Receiver<()>,
    run: Run,
    /// The last revision that was sent.
    seen: i64,
    unsent: VecDeque<Run>,
    ended: bool,
}

/// Watches a run: its current state first, then every later change, or with `after` every change
/// after that revision. Ends after the final state. States that only differ in progress may be left
/// out when a later one is known.
pub async fn watch(
    hub: Arc<Hub>,
    id: RunId,
    after: Option<i64>,
) -> Result<impl Stream<Item = Result<Run, WatchError>> + Send + 'static, WatchError> {
    let hints = hub.subscribe(&id);
    let mut conn = hub.pool().acquire().await.map_err(StoreError::from)?;
    let run = runs::run_get(&mut conn, &id).await?.ok_or(WatchError::NotFound(id))?;
    drop(conn);
    let watch = match after {
        Some(seen) if seen > run.revision => {
            return Err(WatchError::CursorAhead { current: run.revision });
        }
        Some(seen) => {
            let ended = run.status.is_final() && seen == run.revision;
            Watch { hub, hints, run, seen, unsent: VecDeque::new(), ended }
        }
        None => {
            let unsent = VecDeque::from([run.clone()]);
            Watch { hub, hints, seen: 0, run, unsent, ended: false }
        }
    };
    Ok(try_unfold(
        watch,
        |mut watch| async move { Ok(watch.next().await?.map(|state| (state, watch))) },
    ))
}

impl Watch {
    async fn next(&mut self) -> Result<Option<Run>, WatchError> {
        loop {
            if self.ended {
                return Ok(None);
            }
            if let Some(state) = self.unsent.pop_front() {
                self.seen = state.revision;
                self.ended = state.status.is_final();
                return Ok(Some(state));
            }
            self.unsent = self.read().await?;
            if self.unsent.is_empty() {
                self.wait().await;
            }
        }
    }

    async fn read(&mut self) -> Result<VecDeque<Run>, StoreError> {
        self.hints.mark_unchanged();
        let mut conn = self.hub.pool().acquire().await?;
        Ok(without_passed_progress(events::events_after(&mut conn, &self.run, self.seen).await?))
    }

    async fn wait(&mut self) {
        // A timeout is as good as a hint, and the hub never drops its sender while there is a watch.
        let _hint = tokio::time::timeout(POLL, self.hints.changed()).await;
    }
}

/// Leaves out a state when the next one has the same status in the same attempt.
fn without_passed_progress(states: Vec<Run>) -> VecDeque<Run> {
    let mut kept: VecDeque<Run> = VecDeque::new();
    for state in states {
        let passed = kept
            .back()
            .is_some_and(|last| last.status == state.status && last.attempt == state.attempt);
        if passed {
            kept.pop_back();
        }
        kept.push_back(state);
    }
    kept
}
