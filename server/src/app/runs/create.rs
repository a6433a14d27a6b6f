//! Writing new runs: all calls that create a run share transactions.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::Triggered;
use super::new_run::{Base, Known};
use crate::app::group_commit::{GroupCall, Locked, Results};
use crate::app::requests::{self, CallId};
use crate::app::signals::Work;
use crate::app::{AppError, IdempotencyKey};
use crate::domain::id::{RunId, ScheduledJobId};
use crate::domain::run::Run;
use crate::store::{runs, scheduled_jobs};

/// A call that creates a run.
#[derive(Clone, Debug)]
pub(in crate::app) struct Creation {
    base: Base,
    key: Option<IdempotencyKey>,
    now: DateTime<Utc>,
    random: u64,
}

/// What the database says about a batch.
#[derive(Default)]
struct Reading {
    known: Known,
    /// Jobs that another transaction has locked, as a deletion does.
    busy: BTreeSet<ScheduledJobId>,
}

impl Creation {
    pub(super) fn new(base: Base, key: Option<IdempotencyKey>, now: DateTime<Utc>) -> Self {
        Self { base, key, now, random: rand::random() }
    }

    /// The result that the call would have.
    pub(super) async fn preview(&self, conn: &mut PgConnection) -> Result<Triggered, AppError> {
        let mut reading = Reading::default();
        reading.read(conn, &[self], None).await?;
        let earlier = requests::find_results(conn, self.key.as_slice()).await?;
        let run = match earlier.into_values().next().transpose()? {
            Some(id) => created_run(&runs_by_id(conn, [id.clone()]).await?, &id)?,
            None => self.run(&reading.known)?,
        };
        Ok(reading.known.triggered(run))
    }

    fn run(&self, known: &Known) -> Result<Run, AppError> {
        Ok(Run::new(self.base.new_run(known)?, self.now, self.random))
    }

    fn call_id(&self) -> Option<CallId> {
        self.key.as_ref().map(IdempotencyKey::call_id)
    }
}

impl GroupCall for Creation {
    type Output = Triggered;

    fn work(Triggered { run, .. }: &Triggered) -> Work {
        Work::OfSources(run.spec.parameters.source.iter().cloned().collect())
    }

    async fn execute(
        conn: &mut PgConnection,
        calls: &[&Self],
        locked: Locked,
    ) -> Result<Results<Triggered>, AppError> {
        let mut reading = Reading::default();
        reading.read(conn, calls, Some(locked)).await?;
        let mut call_ids = BTreeSet::new();
        let decided = calls.iter().map(|call| {
            // The second of two calls with the same key needs the result of the first.
            let is_first = call.call_id().is_none_or(|id| call_ids.insert(id));
            (is_first && !reading.is_busy(call)).then(|| call.run(&reading.known))
        });
        let decisions = insert(conn, calls, decided.collect()).await?;
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
        let triggered = |run: Result<Run, _>| run.map(|run| reading.known.triggered(run));
        Ok(decisions.into_iter().map(|decision| result(decision).map(triggered)).collect())
    }
}

enum Decision {
    /// In a transaction of its own.
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
) -> Result<Vec<Decision>, AppError> {
    let new = calls.iter().zip(&made).filter_map(|(call, made)| {
        let run = made.as_ref()?.as_ref().ok()?;
        Some((run, call.key.as_ref().map(IdempotencyKey::as_key)))
    });
    let new: Vec<_> = new.collect();
    let inserted =
        if new.is_empty() { BTreeSet::new() } else { runs::runs_insert_once(conn, &new).await? };
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
            // The earlier call was rolled back meanwhile.
            (None, Ok(_)) => Decision::Repeat,
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

impl Reading {
    /// Reads the jobs and runs that the calls name, and locks the jobs against deletion.
    async fn read(
        &mut self,
        conn: &mut PgConnection,
        calls: &[&Creation],
        locked: Option<Locked>,
    ) -> Result<(), AppError> {
        let jobs = calls.iter().filter_map(|call| call.base.named_job()).collect();
        self.read_jobs(conn, jobs, locked).await?;
        let is_unknown_job = |call: &&&Creation| match call.base.named_job() {
            Some(job) => !self.known.jobs.contains_key(&job) && !self.busy.contains(&job),
            None => true,
        };
        let named = calls.iter().filter(is_unknown_job).filter_map(|call| call.base.named_run());
        let runs: Vec<String> = named.map(|id| id.to_string()).collect();
        self.known.runs = runs_by_id(conn, runs).await?;
        let jobs = self.known.runs.values().filter_map(|run| run.spec.scheduled_job_id.clone());
        let jobs: BTreeSet<_> = jobs.filter(|job| !self.known.jobs.contains_key(job)).collect();
        self.read_jobs(conn, jobs, locked).await
    }

    /// Locks jobs, and only then reads them: so a deletion that was committed before the lock is seen, and none
    /// can be committed after it.
    async fn read_jobs(
        &mut self,
        conn: &mut PgConnection,
        ids: BTreeSet<ScheduledJobId>,
        locked: Option<Locked>,
    ) -> Result<(), AppError> {
        if ids.is_empty() {
            return Ok(());
        }
        let ids: Vec<&str> = ids.iter().map(ScheduledJobId::as_str).collect();
        let free = match locked {
            None => None,
            Some(Locked::Wait) => Some(scheduled_jobs::settings_share(conn, &ids).await?),
            Some(Locked::Skip) => Some(scheduled_jobs::settings_share_free(conn, &ids).await?),
        };
        let free: Option<BTreeSet<String>> = free.map(|ids| ids.into_iter().collect());
        for job in scheduled_jobs::scheduled_jobs_get(conn, &ids).await? {
            if free.as_ref().is_none_or(|free| free.contains(job.id.as_str())) {
                self.known.jobs.insert(job.id.clone(), job);
            } else {
                self.busy.insert(job.id);
            }
        }
        Ok(())
    }

    fn is_busy(&self, call: &Creation) -> bool {
        let run = call.base.named_run().and_then(|id| self.known.runs.get(&id));
        let of_run = run.and_then(|run| run.spec.scheduled_job_id.clone());
        [call.base.named_job(), of_run].iter().flatten().any(|job| self.busy.contains(job))
    }
}
