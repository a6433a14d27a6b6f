//! Leases pending runs: in fair order, within the limits, across all servers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rand::seq::IteratorRandom;
use sqlx::PgConnection;
use tokio::time::Instant;
use windrow_worker::AttemptId;

use super::apply_all;
use crate::app::group_commit::{GroupCall, Locked, Results};
use crate::app::signals::{TooManyWaiting, Work};
use crate::app::{App, AppError};
use crate::domain::fairness::{Candidate, Capacity, Waiting};
use crate::domain::id::RunId;
use crate::domain::run::{Event, Run, Status};
use crate::domain::size::{MESSAGE, Size};
use crate::store::Budget;
use crate::store::leases::{self, RunningCount};
use crate::store::ready::{self, Ready};
use crate::store::runs;

/// Maximum bytes of the runs of a response. A lease has the locations of its run twice.
pub(super) const LEASES_BYTES: usize = MESSAGE / 2;
/// Interval at which a waiting worker is recorded as seen.
const CHECK: Duration = Duration::from_secs(10);
/// The same while runs may have been lost with the response.
const LOST_CHECK: Duration = Duration::from_secs(1);
/// Candidates by rank.
const WINDOW: usize = 100;
/// Maximum number of jobs, beyond those of the candidates by rank, of which the first run is a candidate too.
const JOBS: i64 = 100;
/// Maximum number of runs that one look leases.
const LARGEST_LOOK: usize = 500;
/// Maximum bytes of these runs, which are in memory at the same time.
const LOOK_BYTES: usize = 16 * 1024 * 1024;

/// A worker's request for runs.
#[derive(Clone, Debug)]
pub struct LeaseRequest<'a> {
    pub worker_id: &'a str,
    pub sources: &'a BTreeSet<String>,
    /// Maximum number of runs.
    pub capacity: usize,
    /// The lease expires after this time without a heartbeat, unless the run's policy sets another time.
    pub lease: Duration,
    /// Attempts that the worker holds. Others that were leased to it were lost with a response and are
    /// delivered again.
    pub held: &'a [AttemptId],
}

impl App {
    /// Leases pending runs to a worker.
    pub async fn lease_runs(&self, request: &LeaseRequest<'_>) -> Result<Vec<Run>, AppError> {
        self.lease_runs_within(request, Duration::ZERO).await
    }

    /// Leases pending runs; waits up to `wait` while there are none.
    pub async fn lease_runs_within(
        &self,
        request: &LeaseRequest<'_>,
        wait: Duration,
    ) -> Result<Vec<Run>, AppError> {
        let until = Instant::now() + wait;
        let LeaseRequest { worker_id, sources, capacity, .. } = *request;
        let waiting = self.signals.work_available.enter(worker_id, sources, capacity);
        let waiting = waiting.map_err(|TooManyWaiting| AppError::Overloaded)?;
        let (mut unconfirmed, mut checked_at) = (self.unconfirmed(request).await?, Instant::now());
        while unconfirmed.lost.is_empty() {
            // Signals from here on count: one between the query and the wait must not be lost.
            waiting.line_up();
            let free = capacity.saturating_sub(unconfirmed.on_their_way);
            let leased = self.lease_new(request, free).await?;
            if !leased.is_empty() || Instant::now() >= until || waiting.is_dismissed() {
                return Ok(leased);
            }
            let is_uncertain = unconfirmed.on_their_way > 0;
            let next_check = checked_at + if is_uncertain { LOST_CHECK } else { CHECK };
            waiting.wait_until(until.min(next_check)).await;
            // What woke the call may be the end of a run on its way, which makes room for another.
            if is_uncertain || Instant::now() >= next_check {
                (unconfirmed, checked_at) = (self.unconfirmed(request).await?, Instant::now());
            }
        }
        Ok(unconfirmed.lost)
    }

    async fn lease_new(
        &self,
        request: &LeaseRequest<'_>,
        capacity: usize,
    ) -> Result<Vec<Run>, AppError> {
        if capacity == 0 {
            return Ok(Vec::new());
        }
        let call = LeaseCall {
            worker_id: request.worker_id.to_owned(),
            sources: request.sources.clone(),
            capacity,
            lease: request.lease,
            source_limits: self.source_limits(),
            now: self.now(),
        };
        Ok(self.leases.call(call).await?.runs)
    }
}

/// A worker's request for new runs. All waiting workers share one look at the queue.
#[derive(Clone, Debug)]
pub(in crate::app) struct LeaseCall {
    worker_id: String,
    sources: BTreeSet<String>,
    capacity: usize,
    lease: Duration,
    source_limits: Arc<BTreeMap<String, i64>>,
    now: DateTime<Utc>,
}

/// The result of a look for one worker.
#[derive(Clone, Debug)]
pub(in crate::app) struct Leased {
    runs: Vec<Run>,
    /// Runs that the look has left for other workers.
    rest: Work,
}

impl GroupCall for LeaseCall {
    type Output = Leased;

    async fn execute(
        conn: &mut PgConnection,
        calls: &[&Self],
        _locked: Locked,
    ) -> Result<Results<Leased>, AppError> {
        let now = calls.iter().map(|call| call.now).max().unwrap_or_default();
        let sources = calls.iter().flat_map(|call| call.sources.iter().cloned()).collect();
        let nothing = || Ok(calls.iter().map(|_| Some(Ok(Leased::nothing()))).collect());
        // Most looks find nothing and need no lock.
        if !ready::ready_lock(conn, &sources, now).await? {
            return nothing();
        }
        let limits = calls.first().map(|call| Arc::clone(&call.source_limits)).unwrap_or_default();
        let mut left = capacity_left(&limits, &leases::running_counts(conn).await?);
        let wanted = calls.iter().map(|call| call.capacity).sum::<usize>().min(LARGEST_LOOK);
        let found = candidates(conn, sources, wanted, &mut left, now).await?;
        let mut is_cut = found.len() >= WINDOW.max(wanted);
        let mut waiting = Waiting::new(found);
        let mut chosen: Vec<Vec<Candidate>> = Vec::new();
        for call in calls {
            let served = |run: &Candidate| call.sources.contains(&run.source);
            chosen.push(waiting.take(&mut left, served, call.capacity, now));
        }
        if chosen.iter().all(Vec::is_empty) {
            return nothing();
        }
        let ids: Vec<_> = chosen.iter().flatten().map(|run| run.run.clone()).collect();
        let queues = chosen.iter().flatten().map(|run| run.queue.clone()).collect();
        let budget = &mut Budget::new(LOOK_BYTES);
        // Another change of a run may have come first.
        let ready = runs::runs_lock_chosen(conn, &ids, &queues, now, budget).await?;
        let mut ready: BTreeMap<RunId, Run> = ready
            .into_iter()
            .filter(|run| run.state.status == Status::Pending)
            .map(|run| (run.spec.id.clone(), run))
            .collect();
        let mut leased = Vec::new();
        for (call, chosen) in calls.iter().zip(&chosen) {
            let event = Event::Leased { worker_id: call.worker_id.clone(), lease: call.lease };
            let mut budget = Budget::new(LEASES_BYTES);
            let runs = chosen.iter().filter_map(|run| ready.remove(&run.run));
            let runs: Vec<Run> = runs.take_while(|run| budget.admits(run.size())).collect();
            // A run that is not taken is offered again at once.
            is_cut |= runs.len() < chosen.len();
            leased.push(apply_all(runs, &event, now)?);
        }
        let running: Vec<Run> = leased.iter().flatten().cloned().collect();
        runs::runs_write(conn, &running).await?;
        let result = |(call, runs): (&&Self, Vec<Run>)| {
            let rest = call.rest(runs.len(), is_cut);
            Some(Ok(Leased { runs, rest }))
        };
        Ok(calls.iter().zip(leased).map(result).collect())
    }

    fn work(leased: &Leased) -> Work {
        leased.rest.clone()
    }

    fn has_written(leased: &Leased) -> bool {
        !leased.runs.is_empty()
    }
}

impl LeaseCall {
    /// A worker that could not lease more runs, or a look that has not seen all of them, may leave some to others:
    /// presumably more than it took, so that the number of workers that look grows quickly.
    fn rest(&self, leased: usize, is_cut: bool) -> Work {
        if leased > 0 && (is_cut || leased == self.capacity) {
            Work::of_sources(&self.sources, 2 * leased)
        } else {
            Work::none()
        }
    }
}

impl Leased {
    fn nothing() -> Self {
        Self { runs: Vec::new(), rest: Work::none() }
    }
}

/// The capacity that the limits leave.
fn capacity_left(source_limits: &BTreeMap<String, i64>, running: &[RunningCount]) -> Capacity {
    let mut sources = source_limits.clone();
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

/// Runs that could start, of enough jobs for a fair choice. Adds the limits of their jobs to `left`.
async fn candidates(
    conn: &mut PgConnection,
    mut sources: BTreeSet<String>,
    wanted: usize,
    left: &mut Capacity,
    now: DateTime<Utc>,
) -> Result<Vec<Candidate>, AppError> {
    sources.retain(|source| has_capacity(&left.sources, source));
    let mut seen: BTreeSet<String> = left
        .queues
        .iter()
        .filter(|(_, left)| **left <= 0)
        .map(|(queue, _)| queue.clone())
        .collect();
    let limit = WINDOW.max(wanted);
    let window = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut found = ready::ready_runs(conn, &sources, &seen, window, now).await?;
    if found.len() >= limit {
        // Jobs with a backlog fill the window. Offer others too, beginning at a random place, and one-off runs.
        seen.extend(found.iter().map(|run| run.candidate.queue.clone()));
        let after = seen.iter().choose(&mut rand::rng()).filter(|_| rand::random());
        let after = after.cloned().unwrap_or_default();
        let others = ready::unfinished_jobs(conn, &seen, &after, JOBS).await?;
        if !others.is_empty() {
            found.extend(ready::ready_firsts(conn, &sources, &others, now).await?);
        }
        if !seen.contains("") {
            found.extend(ready::ready_one_off(conn, &sources, JOBS, now).await?);
        }
    }
    for Ready { candidate, job_limit } in found.iter().filter(|run| run.job_limit > 0) {
        left.queues.entry(candidate.queue.clone()).or_insert(*job_limit);
    }
    Ok(found.into_iter().map(|run| run.candidate).collect())
}

fn has_capacity(left: &BTreeMap<String, i64>, name: &str) -> bool {
    left.get(name).is_none_or(|left| *left > 0)
}
