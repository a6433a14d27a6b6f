//! Writing new runs: concurrent calls that create one share a statement.
//!
//! The jobs were read before, without locks, perhaps for an earlier call. The statement writes only the runs whose
//! job is still as it was read, and locks it against changes; other calls are repeated, each with the job as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::new_run::{Base, Known};
use super::{JobCache, Triggered};
use crate::app::group_commit::{GroupCall, Locked, Results};
use crate::app::requests::{self, CallId};
use crate::app::signals::Work;
use crate::app::{App, AppError, IdempotencyKey};
use crate::domain::id::{RunId, ScheduledJobId};
use crate::domain::run::Run;
use crate::domain::scheduled_job::ScheduledJob;
use crate::domain::size::{BATCH, Size};
use crate::store::runs::{self, NewRunRow};
use crate::store::{Budget, scheduled_jobs};

/// A call that creates a run.
#[derive(Clone, Debug)]
pub(in crate::app) struct Creation {
    base: Base,
    key: Option<IdempotencyKey>,
    jobs: JobCache,
    now: DateTime<Utc>,
    random: u64,
}

/// Maximum number of times that a call is repeated because its job has changed meanwhile.
const CHANGES: usize = 10;

impl App {
    pub(super) fn creation(&self, base: Base, key: Option<IdempotencyKey>) -> Creation {
        Creation { base, key, jobs: self.jobs.clone(), now: self.now(), random: rand::random() }
    }
}

impl Creation {
    /// The result that the call would have.
    pub(super) async fn preview(&self, conn: &mut PgConnection) -> Result<Triggered, AppError> {
        let known = Known::read(conn, &[self], Locked::Wait).await?;
        let earlier = requests::find_results(conn, self.key.as_slice()).await?;
        let run = match earlier.into_values().next().transpose()? {
            Some(id) => created_run(&runs_by_id(conn, [id.clone()]).await?, &id)?,
            None => self.run(&known)?,
        };
        Ok(known.triggered(run))
    }

    fn run(&self, known: &Known) -> Result<Run, AppError> {
        Ok(Run::new(self.base.new_run(known)?, self.now, self.random))
    }

    /// The job that the call names, if it is in the cache.
    fn cached_job(&self) -> Option<(ScheduledJobId, Arc<ScheduledJob>)> {
        let id = self.base.named_job()?;
        self.jobs.get(&id).map(|job| (id, job))
    }

    /// Has the job of the call read again.
    fn forget_job(&self) {
        if let Some(id) = self.base.named_job() {
            self.jobs.forget(&id);
        }
    }

    fn call_id(&self) -> Option<CallId> {
        self.key.as_ref().map(IdempotencyKey::call_id)
    }
}

impl GroupCall for Creation {
    type Output = Triggered;

    const EXECUTED_AT_ONCE: usize = 2;

    fn needs_transaction(&self) -> bool {
        false
    }

    fn work(Triggered { run, .. }: &Triggered) -> Work {
        Work::of_sources(&run.spec.parameters.source, 1)
    }

    async fn execute(
        conn: &mut PgConnection,
        calls: &[&Self],
        locked: Locked,
    ) -> Result<Results<Triggered>, AppError> {
        let mut results = execute_once(conn, calls, locked).await?;
        for _ in 0..CHANGES {
            if locked == Locked::Skip || results.iter().all(Option::is_some) {
                break;
            }
            results = execute_once(conn, calls, locked).await?;
        }
        Ok(results)
    }
}

async fn execute_once(
    conn: &mut PgConnection,
    calls: &[&Creation],
    locked: Locked,
) -> Result<Results<Triggered>, AppError> {
    let known = Known::read(conn, calls, locked).await?;
    let (mut call_ids, mut budget) = (BTreeSet::new(), Budget::new(BATCH));
    let decided = calls.iter().map(|call| {
        // The second of two calls with the same key needs the result of the first.
        let is_first = call.call_id().is_none_or(|id| call_ids.insert(id));
        let run = (is_first && !budget.is_spent()).then(|| call.run(&known))?;
        let is_too_much = run.as_ref().is_ok_and(|run| !budget.admits(run.size()));
        (!is_too_much).then_some(run)
    });
    let decisions = insert(conn, calls, decided.collect(), &known, locked).await?;
    let earlier = decisions.iter().filter_map(|decision| match decision {
        Decision::Earlier(Ok(id)) => Some(id.clone()),
        _ => None,
    });
    let earlier = runs_by_id(conn, earlier).await?;
    let result = |decision| match decision {
        Decision::Repeat => None,
        Decision::Made(run) => Some(run),
        Decision::Earlier(id) => Some(id.and_then(|id| created_run(&earlier, &id))),
    };
    let triggered = |run: Result<Run, _>| run.map(|run| known.triggered(run));
    Ok(decisions.into_iter().map(|decision| result(decision).map(triggered)).collect())
}

enum Decision {
    /// The job is locked or has changed, another call of the batch has the same key, or the run is too much for it.
    Repeat,
    Made(Result<Run, AppError>),
    /// An earlier call with the same key has the result: the id of its run.
    Earlier(Result<String, AppError>),
}

/// Inserts the new runs, except those whose key an earlier call has, and looks up the results of the earlier calls.
async fn insert(
    conn: &mut PgConnection,
    calls: &[&Creation],
    made: Results<Run>,
    known: &Known,
    locked: Locked,
) -> Result<Vec<Decision>, AppError> {
    let new = calls.iter().zip(&made).filter_map(|(call, made)| {
        let run = made.as_ref()?.as_ref().ok()?;
        let key = call.key.as_ref().map(IdempotencyKey::as_key);
        Some(NewRunRow { run, key, job_revision: known.revision_of_job(run) })
    });
    let new: Vec<_> = new.collect();
    let inserted = match locked {
        _ if new.is_empty() => BTreeSet::new(),
        Locked::Skip => runs::runs_insert_free(conn, &new).await?,
        Locked::Wait => runs::runs_insert_once(conn, &new).await?,
    };
    let is_inserted = |made: &Result<Run, AppError>| {
        made.as_ref().is_ok_and(|run| inserted.contains(run.spec.id.as_str()))
    };
    let open = calls
        .iter()
        .zip(&made)
        .filter(|(_, made)| made.as_ref().is_some_and(|made| !is_inserted(made)));
    let keys: Vec<_> = open.filter_map(|(call, _)| call.key.clone()).collect();
    let mut earlier = requests::find_results(conn, &keys).await?;
    let decide = |(call, made): (&&Creation, Option<Result<Run, AppError>>)| {
        let Some(made) = made else { return Decision::Repeat };
        if is_inserted(&made) {
            return Decision::Made(made);
        }
        match (call.call_id().and_then(|id| earlier.remove(&id)), made) {
            (Some(found), _) => Decision::Earlier(found),
            (None, Err(error)) => Decision::Made(Err(error)),
            (None, Ok(_)) => {
                call.forget_job();
                Decision::Repeat
            }
        }
    };
    Ok(calls.iter().zip(made).map(decide).collect())
}

/// The run of an earlier call. Runs are never deleted.
fn created_run(runs: &BTreeMap<RunId, Run>, id: &str) -> Result<Run, AppError> {
    let run = RunId::parse(id).ok().and_then(|id| runs.get(&id)).cloned();
    run.ok_or_else(|| AppError::JobNotFound(id.to_owned()))
}

async fn runs_by_id(
    conn: &mut PgConnection,
    ids: impl IntoIterator<Item = String>,
) -> Result<BTreeMap<RunId, Run>, AppError> {
    let ids: Vec<String> = ids.into_iter().collect();
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let runs = runs::runs_get(conn, &ids).await?;
    Ok(runs.into_iter().map(|run| (run.spec.id.clone(), run)).collect())
}

impl Known {
    /// Collects the jobs and runs that the calls name. Calls that are executed together take jobs from the cache.
    async fn read(
        conn: &mut PgConnection,
        calls: &[&Creation],
        locked: Locked,
    ) -> Result<Self, AppError> {
        let mut known = Self::default();
        if locked == Locked::Skip {
            known.cached = calls.iter().filter_map(|call| call.cached_job()).collect();
        }
        let named = calls.iter().filter_map(|call| call.base.named_job());
        let named: Vec<_> = named.filter(|id| !known.cached.contains_key(id)).collect();
        known.read_jobs(conn, named).await?;
        for call in calls {
            if let Some(job) = call.base.named_job().and_then(|id| known.read.get(&id)) {
                call.jobs.insert(job);
            }
        }
        let is_unknown_job =
            |call: &&&Creation| call.base.named_job().is_none_or(|job| known.job(&job).is_none());
        let named = calls.iter().filter(is_unknown_job).filter_map(|call| call.base.named_run());
        let runs: Vec<String> = named.map(|id| id.to_string()).collect();
        known.runs = runs_by_id(conn, runs).await?;
        let jobs = known.runs.values().filter_map(|run| run.spec.scheduled_job_id.clone());
        known.read_jobs(conn, jobs.collect::<Vec<_>>()).await?;
        Ok(known)
    }

    async fn read_jobs(
        &mut self,
        conn: &mut PgConnection,
        ids: impl IntoIterator<Item = ScheduledJobId>,
    ) -> Result<(), AppError> {
        let ids: BTreeSet<_> = ids.into_iter().filter(|id| !self.read.contains_key(id)).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let ids: Vec<&str> = ids.iter().map(ScheduledJobId::as_str).collect();
        let jobs = scheduled_jobs::scheduled_jobs_get(conn, &ids).await?;
        self.read.extend(jobs.into_iter().map(|job| (job.id.clone(), Arc::new(job))));
        Ok(())
    }

    /// The revision of the run's job when it was read.
    fn revision_of_job(&self, run: &Run) -> Option<i64> {
        let job = run.spec.scheduled_job_id.as_ref()?;
        self.job(job).map(|job| job.revision)
    }
}
