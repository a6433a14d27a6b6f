//! Leasing pending runs: whose turn it is, within the limits, across all servers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;
use tokio::time::{Instant, timeout_at};

use super::{Fence, SEEN_EVERY, apply_all};
use crate::app::write_runs::write_changed;
use crate::app::{App, AppError, commit};
use crate::domain::fairness::{self, Candidate, Capacity};
use crate::domain::run::{Event, Run};
use crate::store::leases::{self, Ready, RunningCount};
use crate::store::{runs, workers};

/// A worker that was not heard of for so long is not counted as connected.
pub(crate) const WORKER_LOST_AFTER: TimeDelta = TimeDelta::seconds(60);
/// How often a waiting worker looks without being woken.
const POLL: Duration = Duration::from_secs(1);
/// Runs that one look takes into account, and how often it looks beyond those of the same jobs.
const WINDOW: usize = 100;
const LOOKS: usize = 4;

/// What a worker asks for.
#[derive(Clone, Debug)]
pub struct LeaseRequest<'a> {
    pub worker_id: &'a str,
    pub sources: &'a BTreeSet<String>,
    /// At most so many runs.
    pub capacity: usize,
    /// How long it may be silent, unless a run's policy says otherwise.
    pub lease: Duration,
    /// What it holds already. What else was leased to it got lost on the way and is given again.
    pub held: &'a [Fence],
}

impl App {
    /// Leases pending runs to a worker.
    pub async fn lease_runs(&self, request: &LeaseRequest<'_>) -> Result<Vec<Run>, AppError> {
        let mut given = self.redeliver_leases(request).await?;
        let capacity = request.capacity.saturating_sub(given.len());
        if capacity > 0 {
            given.extend(self.lease_new(request, capacity).await?);
        }
        Ok(given)
    }

    /// Leases pending runs, and waits for some at most so long.
    pub async fn lease_runs_within(
        &self,
        request: &LeaseRequest<'_>,
        wait: Duration,
    ) -> Result<Vec<Run>, AppError> {
        let until = Instant::now() + wait;
        let given = self.redeliver_leases(request).await?;
        if !given.is_empty() {
            return Ok(given);
        }
        loop {
            // Before looking, so that what comes in between signals.
            let woken = self.signals.work.notified();
            tokio::pin!(woken);
            woken.as_mut().enable();
            let leased = self.lease_new(request, request.capacity).await?;
            if !leased.is_empty() || Instant::now() >= until {
                return Ok(leased);
            }
            let look_again = until.min(Instant::now() + POLL);
            let _woken_or_not = timeout_at(look_again, woken).await;
        }
    }

    /// A worker is gone.
    pub async fn forget_worker(&self, worker_id: &str) -> Result<(), AppError> {
        Ok(workers::worker_delete(&mut *self.acquire().await?, worker_id).await?)
    }

    /// What was leased to the worker, and is not among what it holds: the answer got lost.
    async fn redeliver_leases(&self, request: &LeaseRequest<'_>) -> Result<Vec<Run>, AppError> {
        let now = self.now();
        let mut conn = self.acquire().await?;
        let (id, sources) = (request.worker_id, request.sources);
        workers::worker_seen(&mut conn, id, sources, now, now - SEEN_EVERY).await?;
        let mut given = runs::runs_leased_to(&mut conn, id, now).await?;
        given.retain(|run| {
            !request
                .held
                .iter()
                .any(|held| held.run == run.spec.id && held.attempt == run.state.attempt)
        });
        Ok(given)
    }

    async fn lease_new(
        &self,
        request: &LeaseRequest<'_>,
        capacity: usize,
    ) -> Result<Vec<Run>, AppError> {
        let now = self.now();
        // Most looks find nothing, and need no turn at the lock.
        if !leases::ready_exists(&mut *self.acquire().await?, request.sources, now).await? {
            return Ok(Vec::new());
        }
        let mut tx = self.begin().await?;
        leases::leases_serialize(&mut tx).await?;
        let mut room = self.room(&leases::running_counts(&mut tx).await?);
        let candidates = candidates(&mut tx, request, &mut room, now).await?;
        let chosen = fairness::choose(candidates, room, capacity, now);
        let ids: Vec<_> = chosen.iter().map(|run| run.run.clone()).collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let ready = runs::runs_lock_pending(&mut tx, &ids).await?;
        let leased =
            Event::Leased { worker_id: request.worker_id.to_owned(), lease: request.lease };
        let running = apply_all(ready, &leased, now)?;
        write_changed(&mut tx, &running).await?;
        let queues = chosen.into_iter().map(|run| run.queue).collect();
        leases::turns_write(&mut tx, &queues, now).await?;
        commit(tx).await?;
        if !running.is_empty() {
            self.events_written();
        }
        Ok(running)
    }

    /// What the limits leave.
    fn room(&self, running: &[RunningCount]) -> Capacity {
        let mut sources: BTreeMap<String, i64> = self.source_limits.clone();
        let mut queues: BTreeMap<String, i64> = BTreeMap::new();
        for RunningCount { source, queue, job_limit, count } in running {
            if let Some(left) = sources.get_mut(source) {
                *left -= count;
            }
            if *job_limit > 0 {
                *queues.entry(queue.clone()).or_insert(*job_limit) -= count;
            }
        }
        Capacity { sources, queues }
    }
}

/// Runs that could begin, of as many jobs as it takes to be fair. Fills in the limits of their jobs.
async fn candidates(
    conn: &mut PgConnection,
    request: &LeaseRequest<'_>,
    room: &mut Capacity,
    now: DateTime<Utc>,
) -> Result<Vec<Candidate>, AppError> {
    let sources: BTreeSet<String> =
        request.sources.iter().filter(|s| has_room(&room.sources, s)).cloned().collect();
    let mut passed: BTreeSet<String> = room
        .queues
        .iter()
        .filter(|(_, left)| **left <= 0)
        .map(|(queue, _)| queue.clone())
        .collect();
    let limit = WINDOW.max(request.capacity);
    let mut found = Vec::new();
    for _ in 0..LOOKS {
        let window = i64::try_from(limit).unwrap_or(i64::MAX);
        let ready = leases::ready_runs(conn, &sources, &passed, window, now).await?;
        let is_last = ready.len() < limit;
        for Ready { candidate, job_limit } in ready {
            if job_limit > 0 {
                room.queues.entry(candidate.queue.clone()).or_insert(job_limit);
            }
            passed.insert(candidate.queue.clone());
            found.push(candidate);
        }
        if is_last {
            break;
        }
    }
    Ok(found)
}

fn has_room(left: &BTreeMap<String, i64>, name: &str) -> bool {
    left.get(name).is_none_or(|left| *left > 0)
}
