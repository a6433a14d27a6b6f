//! Workers that ask for runs: recorded as connected, and the runs that were leased to them with a response that was
//! lost.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;
use windrow_worker::AttemptId;

use super::lease::LEASES_BYTES;
use super::{LeaseRequest, SEEN_EVERY};
use crate::app::group_commit::{GroupCall, Locked, Results};
use crate::app::signals::Work;
use crate::app::{App, AppError};
use crate::domain::run::{Lease, Run};
use crate::store::{Budget, leases, runs, workers};

/// A worker without a call for this long counts as disconnected.
pub(crate) const WORKER_LOST_AFTER: TimeDelta = TimeDelta::seconds(60);
/// A leased run that its worker does not hold after this time was lost with the response. Before, the response
/// may be on its way, or the worker may be ending the run at this moment.
const LOST_RESPONSE_AFTER: TimeDelta = TimeDelta::seconds(1);

/// Runs that were leased to a worker but that it does not hold.
#[derive(Default)]
pub(super) struct Unconfirmed {
    /// The response was lost; they are delivered again.
    pub(super) lost: Vec<Run>,
    /// Number of those that the worker may receive at this moment, or has already ended.
    pub(super) on_their_way: usize,
}

impl App {
    /// Removes a worker that leases no more runs from the connected ones, and ends its waiting calls.
    pub async fn forget_worker(&self, worker_id: &str) -> Result<(), AppError> {
        self.signals.work_available.dismiss(worker_id);
        Ok(workers::worker_delete(&mut *self.acquire().await?, worker_id).await?)
    }

    /// Records the worker as connected; returns the runs that were leased to it but that it does not hold.
    pub(super) async fn unconfirmed(
        &self,
        request: &LeaseRequest<'_>,
    ) -> Result<Unconfirmed, AppError> {
        let (id, now) = (request.worker_id, self.now());
        let sighting = Sighting { worker_id: id.to_owned(), sources: request.sources.clone(), now };
        let Sighted { leased } = self.sightings.call(sighting).await?;
        if leased.is_empty() {
            return Ok(Unconfirmed::default());
        }
        let ids: Vec<&str> = leased.iter().map(String::as_str).collect();
        let is_unconfirmed = |run: &Run| {
            let lease = run.state.lease.as_ref();
            let is_valid = |lease: &Lease| lease.worker_id == id && !lease.has_expired(now);
            lease.is_some_and(is_valid) && !request.held.iter().any(|it| is_attempt_of(it, run))
        };
        let (mut conn, budget) = (self.acquire().await?, &mut Budget::new(LEASES_BYTES));
        let mut leased = runs::runs_get_within(&mut conn, &ids, is_unconfirmed, budget).await?;
        leased.sort_by(|a, b| a.spec.id.cmp(&b.spec.id));
        let is_lost = |run: &Run| {
            run.state.attempt_started_at.is_none_or(|start| now - start >= LOST_RESPONSE_AFTER)
        };
        let (lost, on_their_way): (Vec<Run>, Vec<Run>) = leased.into_iter().partition(is_lost);
        Ok(Unconfirmed { lost, on_their_way: on_their_way.len() })
    }
}

/// A worker that asks for runs.
#[derive(Clone, Debug)]
pub(in crate::app) struct Sighting {
    worker_id: String,
    sources: BTreeSet<String>,
    now: DateTime<Utc>,
}

/// The result of a sighting.
#[derive(Clone, Debug)]
pub(in crate::app) struct Sighted {
    /// The running runs of the worker.
    leased: Vec<String>,
}

impl GroupCall for Sighting {
    type Output = Sighted;

    fn needs_transaction(&self) -> bool {
        false
    }

    async fn execute(
        conn: &mut PgConnection,
        calls: &[&Self],
        _locked: Locked,
    ) -> Result<Results<Sighted>, AppError> {
        let now = calls.iter().map(|call| call.now).max().unwrap_or_default();
        // A worker may have called twice.
        let workers: BTreeMap<&str, &BTreeSet<String>> =
            calls.iter().map(|call| (call.worker_id.as_str(), &call.sources)).collect();
        workers::workers_seen(conn, &workers, now, now - SEEN_EVERY).await?;
        let ids: Vec<&str> = workers.into_keys().collect();
        let leased = leases::leases_of(conn, &ids).await?;
        let result = |call: &&Self| {
            Some(Ok(Sighted { leased: leased.get(&call.worker_id).cloned().unwrap_or_default() }))
        };
        Ok(calls.iter().map(result).collect())
    }

    fn work(_sighted: &Sighted) -> Work {
        Work::none()
    }
}

fn is_attempt_of(id: &AttemptId, run: &Run) -> bool {
    id.job_id == run.spec.id.as_str() && id.attempt == run.state.attempt
}
