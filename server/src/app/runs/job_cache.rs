//! Jobs as they were last read, so that a trigger need not read its job first.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;

use crate::domain::id::ScheduledJobId;
use crate::domain::scheduled_job::ScheduledJob;
use crate::domain::size::Size;

/// Maximum bytes of the jobs.
const BYTES: u64 = 8 * 1024 * 1024;
/// A job is read again after this time, in case the database was restored or edited by hand, which can change a job
/// without changing its revision.
const LIFETIME: Duration = Duration::from_secs(10);

/// Jobs that may have changed since they were read.
///
/// **Invariant:** nothing follows from a cached job alone. A run is inserted only while its job is at the revision
/// that was cached, and jobs that have no new runs are not cached, so each refusal follows from a job that was just
/// read.
#[derive(Clone, Debug)]
pub(in crate::app) struct JobCache {
    jobs: Cache<ScheduledJobId, Arc<ScheduledJob>>,
}

impl Default for JobCache {
    fn default() -> Self {
        let size =
            |_: &ScheduledJobId, job: &Arc<ScheduledJob>| job.size().try_into().unwrap_or(u32::MAX);
        let jobs = Cache::builder().max_capacity(BYTES).weigher(size).time_to_live(LIFETIME);
        Self { jobs: jobs.build() }
    }
}

impl JobCache {
    pub(super) fn get(&self, id: &ScheduledJobId) -> Option<Arc<ScheduledJob>> {
        self.jobs.get(id)
    }

    /// Keeps a job that was just read, unless triggers of it are refused.
    pub(super) fn insert(&self, job: &Arc<ScheduledJob>) {
        if job.gate.deleted_at.is_none() && job.problems.is_empty() {
            self.jobs.insert(job.id.clone(), Arc::clone(job));
        }
    }

    pub(super) fn forget(&self, id: &ScheduledJobId) {
        self.jobs.invalidate(id);
    }
}
