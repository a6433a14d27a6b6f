//! The reasons why runs are still pending.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::leases::WORKER_LOST_AFTER;
use super::{App, AppError};
use crate::domain::id::RunId;
use crate::domain::pending_reason::PendingReason;
use crate::domain::run::{Run, Status};
use crate::store::leases::{self, RunningCount};
use crate::store::workers;

/// Everything that can keep runs pending.
struct Obstacles {
    /// Sources that have a live worker.
    served: BTreeSet<String>,
    running: Vec<RunningCount>,
    source_limits: Arc<BTreeMap<String, i64>>,
    /// For each queued run the earlier run of its job that has not ended.
    earlier: BTreeMap<RunId, RunId>,
}

impl App {
    /// For each of the runs the reason why it is pending, if it is.
    pub async fn pending_reasons(
        &self,
        runs: &[Run],
    ) -> Result<Vec<Option<PendingReason>>, AppError> {
        if runs.iter().all(|run| run.state.status != Status::Pending) {
            return Ok(vec![None; runs.len()]);
        }
        let now = self.now();
        let mut conn = self.acquire().await?;
        let obstacles = self.obstacles(&mut conn, runs, now).await?;
        Ok(runs.iter().map(|run| obstacles.reason(run, now)).collect())
    }

    async fn obstacles(
        &self,
        conn: &mut PgConnection,
        runs: &[Run],
        now: DateTime<Utc>,
    ) -> Result<Obstacles, AppError> {
        let queued: Vec<&RunId> =
            runs.iter().filter(|run| run.spec.queued).map(|run| &run.spec.id).collect();
        Ok(Obstacles {
            earlier: leases::runs_before(conn, &queued).await?,
            served: workers::sources_served(conn, now - WORKER_LOST_AFTER).await?,
            running: leases::running_counts(conn).await?,
            source_limits: self.source_limits(),
        })
    }
}

impl Obstacles {
    fn reason(&self, run: &Run, now: DateTime<Utc>) -> Option<PendingReason> {
        if run.state.status != Status::Pending {
            return None;
        }
        if run.state.available_at > now {
            return Some(PendingReason::Time {
                until: run.state.available_at,
                attempts: run.state.attempt,
            });
        }
        if let Some(earlier) = self.earlier.get(&run.spec.id) {
            return Some(PendingReason::EarlierRun { run: earlier.clone() });
        }
        let source = run.spec.parameters.source.clone().unwrap_or_default();
        if !self.served.contains(&source) {
            return Some(PendingReason::Worker { source });
        }
        let limit = self.source_limits.get(&source).copied();
        if let Some(limit) = limit.filter(|limit| self.count(|it| it.source == source) >= *limit) {
            return Some(PendingReason::SourceLimit { source, limit });
        }
        Some(self.job_limit(run).unwrap_or(PendingReason::Turn { source }))
    }

    fn job_limit(&self, run: &Run) -> Option<PendingReason> {
        let job = run.spec.scheduled_job_id.clone()?;
        let of_job = |it: &&RunningCount| it.queue == job.as_str() && it.job_limit > 0;
        let limit = self.running.iter().find(of_job)?.job_limit;
        let is_reached = self.count(|it| it.queue == job.as_str()) >= limit;
        is_reached.then_some(PendingReason::JobLimit { job, limit })
    }

    fn count(&self, counts: impl Fn(&RunningCount) -> bool) -> i64 {
        self.running.iter().filter(|it| counts(it)).map(|it| it.count).sum()
    }
}
