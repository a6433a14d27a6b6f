//! Imports the jobs and runs of an earlier system.
//!
//! Existing jobs and runs are never changed, so an import can be repeated, and continues where an
//! interrupted one stopped.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{App, AppError, Mode, commit};
use crate::domain::id::{RunId, ScheduledJobId};
use crate::domain::revision::Change;
use crate::domain::run::{Origin, Run};
use crate::domain::scheduled_job::ScheduledJob;
use crate::store::revisions::{self, NewRevision};
use crate::store::{imports, runs};

/// Scheduled jobs and ticks that have a run.
pub type Ticks = BTreeSet<(String, DateTime<Utc>)>;

/// Outcome of an import of runs.
#[derive(Clone, Debug, Default)]
pub struct ImportedRuns {
    /// Runs that did not exist before.
    pub new: BTreeSet<RunId>,
    /// New runs whose tick already has a run. They are imported with the origin `recurring`.
    pub second_of_tick: BTreeSet<RunId>,
}

impl App {
    /// The ids that belong to existing scheduled jobs.
    pub async fn existing_scheduled_jobs(
        &self,
        ids: &BTreeSet<ScheduledJobId>,
    ) -> Result<BTreeSet<ScheduledJobId>, AppError> {
        let mut conn = self.acquire().await?;
        Ok(imports::scheduled_jobs_existing(&mut conn, ids).await?)
    }

    /// Inserts the scheduled jobs that do not exist yet, each with the end of its last run, in one
    /// transaction. Returns the new ones.
    pub async fn import_scheduled_jobs(
        &self,
        jobs: &[(ScheduledJob, Option<DateTime<Utc>>)],
        mode: Mode,
    ) -> Result<BTreeSet<ScheduledJobId>, AppError> {
        let ids: BTreeSet<ScheduledJobId> = jobs.iter().map(|(job, _)| job.id.clone()).collect();
        let mut tx = self.begin().await?;
        let existing = imports::scheduled_jobs_existing(&mut tx, &ids).await?;
        let new: Vec<_> = jobs
            .iter()
            .filter(|(job, _)| !existing.contains(&job.id))
            .map(|(job, ended_at)| (job, *ended_at))
            .collect();
        if mode == Mode::Commit && !new.is_empty() {
            imports::scheduled_jobs_import(&mut tx, &new).await?;
            revisions::revisions_insert(
                &mut tx,
                &new.iter().map(first_revision).collect::<Vec<_>>(),
            )
            .await?;
            commit(tx).await?;
        }
        Ok(new.into_iter().map(|(job, _)| job.id.clone()).collect())
    }

    /// Inserts the ended runs that do not exist yet, in one transaction. Their jobs must exist; their
    /// histories already count them. `taken` is the ticks of the batches before.
    pub async fn import_runs(
        &self,
        runs: Vec<Run>,
        taken: &mut Ticks,
        mode: Mode,
    ) -> Result<ImportedRuns, AppError> {
        let ids: BTreeSet<RunId> = runs.iter().map(|run| run.spec.id.clone()).collect();
        let mut tx = self.begin().await?;
        let existing = imports::runs_existing(&mut tx, &ids).await?;
        let mut runs: Vec<Run> =
            runs.into_iter().filter(|run| !existing.contains(&run.spec.id)).collect();
        let ticks: Vec<_> = runs.iter().filter_map(tick_of).collect();
        taken.extend(imports::ticks_with_run(&mut tx, &ticks).await?);
        let imported = ImportedRuns::of(&mut runs, taken);
        if mode == Mode::Commit && !runs.is_empty() {
            runs::runs_insert(&mut tx, &runs).await?;
            imports::history_add_rows(&mut tx, &count_by_job(&runs)).await?;
            commit(tx).await?;
        }
        Ok(imported)
    }
}

impl ImportedRuns {
    /// The outcome for runs that do not exist. Makes the second run of a tick recurring.
    pub fn of(runs: &mut [Run], taken: &mut Ticks) -> Self {
        let mut imported = Self::default();
        for run in runs {
            imported.new.insert(run.spec.id.clone());
            if let Some((job, tick)) = tick_of(run)
                && !taken.insert((job.to_string(), tick))
            {
                Arc::make_mut(&mut run.spec).origin = Origin::Recurring;
                imported.second_of_tick.insert(run.spec.id.clone());
            }
        }
        imported
    }
}

fn count_by_job(runs: &[Run]) -> BTreeMap<ScheduledJobId, i64> {
    let mut counts = BTreeMap::new();
    for job in runs.iter().filter_map(|run| run.spec.scheduled_job_id.clone()) {
        *counts.entry(job).or_default() += 1;
    }
    counts
}

fn first_revision((job, _): &(&ScheduledJob, Option<DateTime<Utc>>)) -> NewRevision {
    NewRevision {
        scheduled_job_id: job.id.clone(),
        number: job.revision,
        // Before this instant the job belonged to the other system.
        valid_from: job.gate.watermark,
        change: Change::Imported,
        changed_by: "import".to_owned(),
    }
}

fn tick_of(run: &Run) -> Option<(ScheduledJobId, DateTime<Utc>)> {
    if run.spec.origin != Origin::Scheduled {
        return None;
    }
    Some((run.spec.scheduled_job_id.clone()?, run.spec.tick_at?))
}
