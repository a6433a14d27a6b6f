//! Combines the documents of an export into scheduled jobs, with missing values taken from their
//! runs.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::job::{self, LegacyJob};
use super::run::LegacyRun;
use crate::domain::id::ScheduledJobId;
use crate::domain::parameters::ScrapeParameters;
use crate::domain::policy::RunPolicy;
use crate::domain::run::Run;
use crate::domain::scheduled_job::{
    History, LastRun, ScheduleState, ScheduledJob, Settings, Status,
};
use crate::domain::tick_policy::TickPolicy;

/// A scheduled job to insert, with the values that `ScheduledJob` does not contain.
#[derive(Clone, Debug)]
pub struct ImportedJob {
    pub job: ScheduledJob,
    /// End of its last run.
    pub last_ended_at: Option<DateTime<Utc>>,
    /// Repairs of the job, one sentence each.
    pub notes: Vec<String>,
}

/// The jobs of an export, with a summary of the runs of each. Holds one entry per job, and none per
/// run.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    jobs: BTreeMap<ScheduledJobId, LegacyJob>,
    /// Runs by the job that they belong to.
    runs: BTreeMap<ScheduledJobId, RunsOfJob>,
    /// Runs without such a job, by the job or run that they were triggered from.
    triggered: BTreeMap<ScheduledJobId, RunsOfJob>,
}

/// Summary of the runs of one job.
#[derive(Clone, Debug)]
struct RunsOfJob {
    count: i64,
    first_created: DateTime<Utc>,
    last: LastRun,
    last_ended_at: DateTime<Utc>,
    parameters: ScrapeParameters,
}

impl Plan {
    /// Adds a job. Returns false, and keeps the first one, if the id is a duplicate.
    pub fn add_job(&mut self, job: LegacyJob) -> bool {
        let new = !self.jobs.contains_key(&job.id);
        if new {
            self.jobs.insert(job.id.clone(), job);
        }
        new
    }

    /// Adds a run to the summary of its job.
    pub fn add_run(&mut self, run: &LegacyRun) {
        let entry = match (run.job(), run.original()) {
            (Some(job), _) => self.runs.entry(job.clone()),
            (None, Some(original)) => self.triggered.entry(original.clone()),
            (None, None) => return,
        };
        let Some(summary) = RunsOfJob::from_run(run.run()) else { return };
        entry.and_modify(|runs| runs.merge(summary.clone())).or_insert(summary);
    }

    /// Returns the jobs to import, and the reasons for rejecting the others. `existing` are those
    /// in the database.
    pub fn jobs(
        mut self,
        existing: &BTreeSet<ScheduledJobId>,
        now: DateTime<Utc>,
    ) -> (Vec<ImportedJob>, Vec<String>) {
        let missing =
            self.runs.keys().filter(|id| !self.jobs.contains_key(*id) && !existing.contains(*id));
        let missing: Vec<ScheduledJobId> = missing.cloned().collect();
        let mut notes: BTreeMap<ScheduledJobId, String> = BTreeMap::new();
        for id in missing {
            let parameters = self.runs.get(&id).map(|runs| runs.parameters.clone());
            let job = job::placeholder(id.clone(), parameters.unwrap_or_default());
            let note = format!(
                "runs refer to the scheduled job '{id}', which is not in the export; created it as \
                 inactive, without a schedule"
            );
            notes.insert(id.clone(), note);
            self.jobs.insert(id, job);
        }
        let (mut jobs, mut rejected) = (Vec::new(), Vec::new());
        let Self { jobs: legacy, mut runs, mut triggered } = self;
        for (id, job) in legacy {
            let mut of_job = runs.remove(&id);
            if let Some(more) = triggered.remove(&id) {
                match &mut of_job {
                    Some(runs) => runs.merge(more),
                    None => of_job = Some(more),
                }
            }
            match imported(job, of_job.as_ref(), now) {
                Ok(mut imported) => {
                    imported.notes.extend(notes.remove(&id));
                    jobs.push(imported);
                }
                Err(reason) => rejected.push(format!("scheduled job '{id}': {reason}")),
            }
        }
        (jobs, rejected)
    }

    /// Returns the run with its link and origin. `jobs` are all that exist.
    pub fn link(run: LegacyRun, jobs: &BTreeSet<ScheduledJobId>) -> Run {
        let link = run.job().or(run.original()).filter(|id| jobs.contains(*id)).cloned();
        run.into_linked(link)
    }
}

impl RunsOfJob {
    fn from_run(run: &Run) -> Option<Self> {
        let ended_at = run.state.completed_at?;
        let run_at = run.state.started_at.unwrap_or(ended_at);
        Some(Self {
            count: 1,
            first_created: run.spec.created_at,
            last: LastRun { run_at, status: run.state.status, job_id: run.spec.id.clone() },
            last_ended_at: ended_at,
            parameters: run.spec.parameters.clone(),
        })
    }

    fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.first_created = self.first_created.min(other.first_created);
        if self.parameters.locations.is_empty() {
            self.parameters = other.parameters;
        }
        if other.last_ended_at >= self.last_ended_at {
            self.last = other.last;
            self.last_ended_at = other.last_ended_at;
        }
    }
}

fn imported(
    legacy: LegacyJob,
    runs: Option<&RunsOfJob>,
    now: DateTime<Utc>,
) -> Result<ImportedJob, String> {
    let mut notes = Vec::new();
    let (history, last_ended_at) = history(&legacy, runs, &mut notes);
    let mut parameters = legacy.parameters;
    if parameters.locations.is_empty()
        && let Some(runs) = runs
        && !runs.parameters.locations.is_empty()
    {
        notes.push(format!(
            "scheduled job '{}' has no locations; using those of its runs",
            legacy.id
        ));
        parameters.locations.clone_from(&runs.parameters.locations);
    }
    if parameters.locations.is_empty() {
        return Err("neither the job nor its runs have locations".to_owned());
    }
    let first = runs.map(|runs| runs.first_created).or(legacy.last_run_at);
    let created_at = legacy.created_at.or(first).unwrap_or(now).min(now);
    let gate = ScheduleState::open(&legacy.schedule, now);
    let gate = match legacy.status {
        Status::Active => gate,
        status @ (Status::Paused | Status::Inactive) => gate.with_status(status, &legacy.schedule),
    };
    let settings = Settings {
        name: legacy.name,
        schedule: legacy.schedule,
        parameters,
        priority: legacy.priority,
        labels: legacy.labels,
        policy: RunPolicy::default(),
        max_concurrent_runs: 0,
        ticks: TickPolicy::default(),
    };
    let job = ScheduledJob {
        id: legacy.id,
        settings,
        version: 1,
        created_at,
        updated_at: legacy.updated_at.unwrap_or(created_at).max(created_at).min(now),
        gate,
        history,
        revision: 1,
        problems: Vec::new(),
    };
    Ok(ImportedJob { job, last_ended_at, notes })
}

/// The history in the job's document; missing values come from its runs.
fn history(
    legacy: &LegacyJob,
    runs: Option<&RunsOfJob>,
    notes: &mut Vec<String>,
) -> (History, Option<DateTime<Utc>>) {
    let id = &legacy.id;
    let present = runs.map_or(0, |runs| runs.count);
    let run_count = legacy.run_count.unwrap_or(present);
    if run_count < present {
        notes.push(format!(
            "scheduled job '{id}' has run_count {run_count}, but {present} runs are in the export"
        ));
    }
    let newest = runs.map(|runs| &runs.last);
    let run_at = legacy.last_run_at.or(newest.map(|last| last.run_at));
    let status = legacy.last_run_status.or(newest.map(|last| last.status));
    let job_id = legacy.last_run_job_id.clone().or(newest.map(|last| last.job_id.clone()));
    let (Some(run_at), Some(status), Some(job_id)) = (run_at, status, job_id) else {
        if run_count > 0 {
            notes.push(format!("the last run of scheduled job '{id}' is unknown"));
        }
        return (History { run_count, last: None }, None);
    };
    let ended_at = runs.filter(|runs| runs.last.job_id == job_id).map(|runs| runs.last_ended_at);
    let last = Some(LastRun { run_at, status, job_id });
    if run_count == 0 {
        notes.push(format!(
            "scheduled job '{id}' has run_count 0, but a last run; changed run_count to 1"
        ));
    }
    (History { run_count: run_count.max(1), last }, Some(ended_at.unwrap_or(run_at).max(run_at)))
}
